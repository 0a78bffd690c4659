#include "svc/on_exit_json.h"

#include "base/test.h"

#define HERE TH_SLICE("here.os")

static th_cap *none_of_them(void *context, const th_cap_claim *claim)
{
    (void)context;
    (void)claim;
    return NULL;
}

/* Whatever is claimed of the issuer @context. */
static th_cap *of_issuer(void *context, const th_cap_claim *claim)
{
    return th_slice_eq(claim->id, th_issuer_id(context))
               ? th_cap_issue(context, claim->params)
               : NULL;
}

static void expect_text(const th_on_exit *on_exit, const char *text)
{
    th_auto_buf out = TH_BUF_INIT;

    th_on_exit_encode(&out, HERE, on_exit);
    T_STR(th_buf_text(&out), text);
}

/* Read, settled with @issuer's capabilities, and written again. */
static void expect_again(const char *text, th_issuer *issuer, const char *again)
{
    th_auto(th_on_exit_draft) draft = NULL;
    th_auto(th_on_exit) on_exit = NULL;
    th_auto_buf why = TH_BUF_INIT;

    T_EQ(th_on_exit_decode(&draft, th_slice_str(text), &why), TH_OK);
    T_EQ(why.bytes, 0);
    T_EQ(th_on_exit_settle(&on_exit, draft, issuer == NULL ? none_of_them : of_issuer,
                           issuer),
         TH_OK);
    T_EQ(th_on_exit_kind_of(on_exit), th_on_exit_draft_kind(draft));
    expect_text(on_exit, again);
}

TEST(on_exit_json, the_plain_ones_are_words)
{
    expect_text(th_on_exit_plain(TH_ON_EXIT_NONE), "\"None\"");
    expect_text(th_on_exit_plain(TH_ON_EXIT_RESTART), "\"Restart\"");
    T_NULL(th_on_exit_draft_free(NULL));
}

TEST(on_exit_json, the_plain_ones_read_back)
{
    expect_again("\"None\"", NULL, "\"None\"");
    expect_again(" \"Restart\" ", NULL, "\"Restart\"");
}

#define CAP_1 "{\"issuer\":\"here.os@a:b:c\",\"params\":\"1\"}"

TEST(on_exit_json, requests_have_kinodes_form_and_read_back)
{
    static const char text[] =
        "{\"Requests\":[[\"n@p:k:s\",{\"inherit\":true,\"expects_response\":null,"
        "\"body\":[0,7,42,255],\"metadata\":\"{}\",\"capabilities\":[" CAP_1 "]},"
        "{\"mime\":\"text/plain\",\"bytes\":[104,105]}],"
        "[\"n@p:k:s\",{\"inherit\":false,\"expects_response\":null,\"body\":[],"
        "\"metadata\":null,\"capabilities\":[]},{\"mime\":null,\"bytes\":[]}],"
        "[\"p:k:s\",{\"inherit\":false,\"expects_response\":null,\"body\":[1],"
        "\"metadata\":null,\"capabilities\":[]},null]]}";
    th_auto(th_issuer) issuer = th_issuer_new(TH_SLICE("a:b:c"));

    expect_again(text, issuer, text);
    expect_again("{\"Requests\":[]}", NULL, "{\"Requests\":[]}");
}

TEST(on_exit_json, capabilities_may_be_pairs_with_a_signature)
{
    th_auto(th_issuer) issuer = th_issuer_new(TH_SLICE("a:b:c"));

    expect_again("{\"Requests\":[[\"p:k:s\",{\"inherit\":false,\"body\":[],"
                 "\"capabilities\":[[" CAP_1 ",[1,2]]," CAP_1 "]},null]]}",
                 issuer,
                 "{\"Requests\":[[\"p:k:s\",{\"inherit\":false,"
                 "\"expects_response\":null,\"body\":[],\"metadata\":null,"
                 "\"capabilities\":[" CAP_1 "," CAP_1 "]},null]]}");
}

TEST(on_exit_json, claims_that_nobody_resolves_are_left_out)
{
    th_auto(th_issuer) issuer = th_issuer_new(TH_SLICE("a:b:c"));

    expect_again("{\"Requests\":[[\"p:k:s\",{\"inherit\":false,\"body\":[],"
                 "\"capabilities\":[{\"issuer\":\"x:y:z\",\"params\":\"1\"}," CAP_1
                 "]},null]]}",
                 issuer,
                 "{\"Requests\":[[\"p:k:s\",{\"inherit\":false,"
                 "\"expects_response\":null,\"body\":[],\"metadata\":null,"
                 "\"capabilities\":[" CAP_1 "]},null]]}");
}

TEST(on_exit_json, what_a_request_expects_is_dropped)
{
    expect_again("{\"Requests\":[[\"p:k:s\",{\"inherit\":false,\"expects_response\":9,"
                 "\"body\":[],\"capabilities\":[]},null]]}",
                 NULL,
                 "{\"Requests\":[[\"p:k:s\",{\"inherit\":false,"
                 "\"expects_response\":null,\"body\":[],\"metadata\":null,"
                 "\"capabilities\":[]},null]]}");
}

#define FORM                                                                           \
    "on_exit is \"None\", \"Restart\" or "                                             \
    "{\"Requests\":[[ADDRESS,REQUEST,BLOB or null],...]}"
#define ONE(request) "{\"Requests\":[[\"p:k:s\"," request ",null]]}"

TEST(on_exit_json, what_is_wrong_is_refused_with_a_sentence_and_its_place)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"", "on_exit: byte 0: '[' or '{' expected near end of file"},
        {"null", FORM},
        {"\"none\"", FORM},
        {"[]", FORM},
        {"{}", FORM},
        {"{\"Requests\":{}}", FORM},
        {"{\"Requests\":[],\"x\":1}", FORM},
        {"{\"Requests\":[7]}",
         "on_exit: request 1: it is [ADDRESS,REQUEST,BLOB or null]"},
        {"{\"Requests\":[[\"p:k:s\",{}]]}",
         "on_exit: request 1: it is [ADDRESS,REQUEST,BLOB or null]"},
        {"{\"Requests\":[[\"p:k\",{},null]]}",
         "on_exit: request 1: its target is no address NODE@PROCESS:PACKAGE:PUBLISHER"},
        {ONE("{}"), "on_exit: request 1: its \"inherit\" is true or false"},
        {ONE("{\"inherit\":false,\"x\":1}"),
         "on_exit: request 1: there is no field \"x\""},
        {ONE("{\"inherit\":false,\"expects_response\":-1}"),
         "on_exit: request 1: its \"expects_response\" is null (nobody would be there "
         "to have it)"},
        {ONE("{\"inherit\":false,\"metadata\":7}"),
         "on_exit: request 1: its \"metadata\" is a text or null"},
        {ONE("{\"inherit\":false}"),
         "on_exit: request 1: its \"capabilities\" are an array"},
        {ONE("{\"inherit\":false,\"capabilities\":[]}"),
         "on_exit: request 1: its \"body\"'s bytes are an array of numbers from 0 to "
         "255"},
        {ONE("{\"inherit\":false,\"capabilities\":[],\"body\":\"x\"}"),
         "on_exit: request 1: its \"body\"'s bytes are an array of numbers from 0 to "
         "255"},
        {ONE("{\"inherit\":false,\"capabilities\":[],\"body\":[1,256]}"),
         "on_exit: request 1: its \"body\"'s bytes are an array of numbers from 0 to "
         "255"},
        {ONE("{\"inherit\":false,\"capabilities\":[7],\"body\":[]}"),
         "on_exit: request 1: capability 1: a capability is "
         "{\"issuer\":ADDRESS,\"params\":TEXT}"},
        {"{\"Requests\":[[\"p:k:s\",{\"inherit\":false,\"capabilities\":[],"
         "\"body\":[]},7]]}",
         "on_exit: request 1: its blob is null or {\"mime\":TEXT or "
         "null,\"bytes\":[...]}"},
        {"{\"Requests\":[[\"p:k:s\",{\"inherit\":false,\"capabilities\":[],"
         "\"body\":[]},{\"mime\":null}]]}",
         "on_exit: request 1: a blob's \"bytes\" are an array of numbers from 0 to "
         "255"},
        {"{\"Requests\":[[\"p:k:s\",{\"inherit\":false,\"capabilities\":[],"
         "\"body\":[]},{\"bytes\":[],\"x\":1}]]}",
         "on_exit: request 1: there is no field \"x\""},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        th_on_exit_draft *draft = NULL;
        th_auto_buf why = TH_BUF_INIT;

        T_EQ(th_on_exit_decode(&draft, th_slice_str(rows[i].text), &why), TH_INVALID);
        T_NULL(draft);
        if (i > 0) { /* the first is the library's sentence */
            T_STR(th_buf_text(&why), rows[i].why);
        }
    }
}

/* --- Bounds ----------------------------------------------------------------------- */

/* A text of one request whose body has @n bytes, each three digits. */
static void put_big(th_buf *out, size_t n)
{
    th_buf_puts(out, "{\"Requests\":[[\"p:k:s\",{\"inherit\":false,"
                     "\"capabilities\":[],\"body\":[");
    for (size_t i = 0; i < n; i++) {
        th_buf_puts(out, i == 0 ? "200" : ",200");
    }
    th_buf_puts(out, "]},null]]}");
}

TEST(on_exit_json, its_bytes_have_a_bound)
{
    size_t most = TH_ON_EXIT_BYTES_MAX - 1024 - 5;

    for (size_t over = 0; over < 2; over++) {
        th_auto(th_on_exit_draft) draft = NULL;
        th_auto(th_on_exit) on_exit = NULL;
        th_auto_buf text = TH_BUF_INIT;
        th_auto_buf why = TH_BUF_INIT;

        put_big(&text, most + over);
        T_EQ(th_on_exit_decode(&draft, th_buf_slice(&text), &why),
             over == 0 ? TH_OK : TH_QUOTA);
        if (over == 0) {
            T_EQ(th_on_exit_settle(&on_exit, draft, none_of_them, NULL), TH_OK);
            T_EQ(th_on_exit_bytes(on_exit), TH_ON_EXIT_BYTES_MAX);
        } else {
            T_TRUE(
                th_slice_starts(th_buf_slice(&why), "on_exit: its requests have more"));
        }
    }
}

TEST(on_exit_json, a_text_beyond_its_bounds_is_refused)
{
    th_auto_buf text = TH_BUF_INIT;
    th_auto_buf why = TH_BUF_INIT;
    th_on_exit_draft *draft = NULL;

    put_big(&text, TH_ON_EXIT_TEXT_BYTES_MAX / 4);
    T_EQ(th_on_exit_decode(&draft, th_buf_slice(&text), &why), TH_QUOTA);
    T_TRUE(th_slice_starts(th_buf_slice(&why), "on_exit: its text has 2097"));
    th_buf_clear(&text);
    th_buf_clear(&why);
    th_buf_puts(&text, "{\"Requests\":[0");
    for (size_t i = 0; i < TH_ON_EXIT_REQUESTS_MAX; i++) {
        th_buf_puts(&text, ",0");
    }
    th_buf_puts(&text, "]}");
    T_EQ(th_on_exit_decode(&draft, th_buf_slice(&text), &why), TH_QUOTA);
    T_STR(th_buf_text(&why), "on_exit: it has 129 requests; 128 are the most");
}

TEST(on_exit_json, too_many_claims_are_refused_before_any_is_read)
{
    th_auto_buf text = TH_BUF_INIT;
    th_auto_buf why = TH_BUF_INIT;
    th_on_exit_draft *draft = NULL;

    th_buf_puts(&text, "{\"Requests\":[[0,{\"capabilities\":[0");
    for (size_t i = 0; i < TH_ON_EXIT_BYTES_MAX / 1024; i++) {
        th_buf_puts(&text, ",0");
    }
    th_buf_puts(&text, "]}]]}");
    T_EQ(th_on_exit_decode(&draft, th_buf_slice(&text), &why), TH_QUOTA);
}

TEST(on_exit_json, everything_is_given_back_when_memory_runs_out)
{
    static const char text[] =
        "{\"Requests\":[[\"n@p:k:s\",{\"inherit\":true,\"body\":[1,2],"
        "\"metadata\":\"{}\",\"capabilities\":[" CAP_1 "]},"
        "{\"mime\":\"text/plain\",\"bytes\":[104,105]}],"
        "[\"n@p:k:s\",{\"inherit\":true,\"body\":[3],\"capabilities\":[" CAP_1
        "]},null]]}";
    th_auto(th_issuer) issuer = th_issuer_new(TH_SLICE("a:b:c"));

    for (size_t n = 0;; n++) {
        th_auto(th_on_exit_draft) draft = NULL;
        th_auto(th_on_exit) on_exit = NULL;
        th_auto_buf why = TH_BUF_INIT;
        th_err err;

        th_mem_fail_after(n);
        err = th_on_exit_decode(&draft, th_slice_str(text), &why);
        if (err == TH_OK) {
            err = th_on_exit_settle(&on_exit, draft, of_issuer, issuer);
        }
        th_mem_fail_never();
        if (err == TH_OK && th_caps_count(th_on_exit_at(on_exit, 0)->caps) == 1 &&
            th_caps_count(th_on_exit_at(on_exit, 1)->caps) == 1) {
            break;
        }
        T_TRUE(err == TH_OK || err == TH_QUOTA);
    }
}

#include "svc/cap_json.h"

#include "base/test.h"

#define ID TH_SLICE("a:b:c")

static void expect_claim(const char *text, const char *id, const char *params)
{
    th_auto(th_json) json = NULL;
    th_auto_buf why = TH_BUF_INIT;
    th_json_error error;
    th_cap_claim claim;

    T_EQ(th_json_decode(&json, th_slice_str(text), &error), TH_OK);
    T_EQ(th_cap_claim_read(&claim, json, &why), TH_OK);
    T_TRUE(th_slice_is(claim.id, id));
    T_TRUE(th_slice_is(claim.params, params));
    T_EQ(why.bytes, 0);
}

TEST(cap_json, its_text_is_issuer_and_params_and_reads_back)
{
    th_auto(th_issuer) issuer = th_issuer_new(ID);
    th_auto(th_issuer) remote = th_issuer_new(TH_SLICE("far.os@a:b:c"));
    th_auto(th_cap) cap = th_cap_issue(issuer, TH_CAP_MESSAGING);
    th_auto(th_cap) other = th_cap_issue(remote, TH_SLICE("1"));
    th_auto_buf out = TH_BUF_INIT;

    th_cap_encode(&out, TH_SLICE("here.os"), cap);
    T_STR(out.at, "{\"issuer\":\"here.os@a:b:c\",\"params\":\"\\\"messaging\\\"\"}");
    expect_claim(out.at, "a:b:c", "\"messaging\"");
    th_buf_clear(&out);
    th_cap_encode(&out, TH_SLICE("here.os"), other);
    T_STR(out.at, "{\"issuer\":\"far.os@a:b:c\",\"params\":\"1\"}");
}

TEST(cap_json, a_claim_may_have_no_node_and_may_be_a_pair_with_a_signature)
{
    expect_claim("{\"issuer\":\"a:b:c\",\"params\":\"\"}", "a:b:c", "");
    expect_claim("[{\"params\":\"1\",\"issuer\":\"n@a:b:c\"},[1,2,3]]", "a:b:c", "1");
}

TEST(cap_json, what_is_no_claim_is_refused_with_a_sentence)
{
    static const struct {
        const char *text, *why;
    } rows[] = {
        {"null", "a capability is {\"issuer\":ADDRESS,\"params\":TEXT}"},
        {"[]", "a capability is {\"issuer\":ADDRESS,\"params\":TEXT}"},
        {"[[],[]]", "a capability is {\"issuer\":ADDRESS,\"params\":TEXT}"},
        {"[{\"issuer\":\"a:b:c\",\"params\":\"1\"}]",
         "a capability is {\"issuer\":ADDRESS,\"params\":TEXT}"},
        {"{}", "a capability's \"issuer\" is an address, in quotes"},
        {"{\"issuer\":7,\"params\":\"1\"}",
         "a capability's \"issuer\" is an address, in quotes"},
        {"{\"issuer\":\"a:B:c\",\"params\":\"1\"}",
         "a capability's \"issuer\" is no address: byte 2: names have lower-case "
         "letters, digits, '-' and '_'"},
        {"{\"issuer\":\"a:b:c\"}",
         "a capability's \"params\" is a text that holds JSON, as in "
         "\"\\\"messaging\\\"\""},
        {"{\"issuer\":\"a:b:c\",\"params\":{}}",
         "a capability's \"params\" is a text that holds JSON, as in "
         "\"\\\"messaging\\\"\""},
        {"{\"issuer\":\"a:b:c\",\"params\":\"1\",\"x\":1}",
         "a capability has no field \"x\""},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        th_auto(th_json) json = NULL;
        th_auto_buf why = TH_BUF_INIT;
        th_json_error error;
        th_cap_claim claim;

        T_EQ(th_json_decode(&json, th_slice_str(rows[i].text), &error), TH_OK);
        T_EQ(th_cap_claim_read(&claim, json, &why), TH_INVALID);
        T_STR(th_buf_text(&why), rows[i].why);
    }
}

TEST(cap_json, a_claim_whose_params_are_too_long_is_refused)
{
    th_auto_buf text = TH_BUF_INIT;
    th_auto(th_json) json = NULL;
    th_auto_buf why = TH_BUF_INIT;
    th_json_error error;
    th_cap_claim claim;

    th_buf_puts(&text, "{\"issuer\":\"a:b:c\",\"params\":\"");
    for (size_t i = 0; i <= TH_CAP_PARAMS_BYTES_MAX; i++) {
        th_buf_putc(&text, 'x');
    }
    th_buf_puts(&text, "\"}");
    T_EQ(th_json_decode(&json, th_buf_slice(&text), &error), TH_OK);
    T_EQ(th_cap_claim_read(&claim, json, &why), TH_INVALID);
    T_STR(th_buf_text(&why),
          "a capability's \"params\" has 65537 bytes; 65536 is the most");
}

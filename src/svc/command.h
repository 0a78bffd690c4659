/*
 * Command: the bodies of requests to kernel:distro:sys, read and answered.
 *
 * Kinode's commands keep their form, JSON with the command's name outside (text 002):
 *
 *   {"InitializeProcess":{"id":"p:k:s","wasm_bytes_handle":"/k:s/pkg/p.wasm",
 *     "wit_version":1,"on_exit":"None","initial_capabilities":[CAP...],"public":false}}
 *   {"GrantCapabilities":{"target":"p:k:s","capabilities":[CAP...]}}
 *   {"DropCapabilities":{"target":"p:k:s","capabilities":[CAP...]}}
 *   {"SetOnExit":{"target":"p:k:s","on_exit":ON_EXIT}}
 *   {"RunProcess":"p:k:s"}   {"KillProcess":"p:k:s"}   "Shutdown"
 *   {"Debug":"ProcessMap"}   {"Debug":{"Process":"p:k:s"}}
 *   {"Debug":{"HasCap":{"on":"p:k:s","cap":CAP}}}
 *
 * and thole's own are open to all, within their rights; ID is an address or a PID:
 *
 *   {"NotifyStop":true}  {"Monitor":ID}  {"Unmonitor":ID}  {"Link":ID}  {"Unlink":ID}
 *
 * A KillProcess whose request has the metadata "no-revoke" leaves what the process
 * issued as it is, for whoever has its name next.
 *
 * A body is read completely before anything happens. Unknown fields are refused, and
 * so is an id with a node: the kernel commands its own node alone.
 *
 * Pure. Thread: any.
 */
#ifndef TH_SVC_COMMAND_H
#define TH_SVC_COMMAND_H

#include "svc/on_exit_json.h"

/* No longer body is read; of one without messaging on the kernel not even that. */
#define TH_KERNEL_COMMAND_BYTES_MAX (TH_ON_EXIT_TEXT_BYTES_MAX + 65536)
#define TH_KERNEL_COMMAND_OPEN_BYTES_MAX 2048

/* Capabilities in one command. */
#define TH_KERNEL_COMMAND_CAPS_MAX 1024

typedef enum th_kernel_command_kind {
    TH_KC_INITIALIZE,
    TH_KC_GRANT,
    TH_KC_DROP,
    TH_KC_SET_ON_EXIT,
    TH_KC_RUN,
    TH_KC_KILL,
    TH_KC_SHUTDOWN,
    TH_KC_DEBUG_MAP,
    TH_KC_DEBUG_PROCESS,
    TH_KC_DEBUG_HAS_CAP,
    TH_KC_NOTIFY_STOP,
    TH_KC_MONITOR,
    TH_KC_UNMONITOR,
    TH_KC_LINK,
    TH_KC_UNLINK,
} th_kernel_command_kind;

#define TH_KC_COUNT 15

/* One command. What it does not have is zero. Texts are borrowed from `json`. */
typedef struct th_kernel_command {
    th_kernel_command_kind kind;
    th_slice id; /* of the process that it is about; "p:k:s", or of thole's own */
    th_address address; /* its parts; only where `id` is no PID */
    bool is_pid;        /* thole's own: `id` is a PID */
    bool on;            /* NOTIFY_STOP */

    /* INITIALIZE */
    th_slice handle; /* a path */
    bool has_wit_version;
    uint32_t wit_version;
    bool is_public;

    th_on_exit_draft *on_exit; /* owned; INITIALIZE, SET_ON_EXIT */
    th_cap_claim *caps;        /* owned; INITIALIZE, GRANT, DROP, DEBUG_HAS_CAP */
    size_t caps_count;

    th_json *json; /* owned */
} th_kernel_command;

/*
 * Read @body. With @has_right false only thole's own are read.
 *
 * Refuses: INVALID, it is no command; DENIED, it is one that needs the right;
 * QUOTA, a bound is exceeded or memory ran out. Then @why (a text for people: what,
 * where, what is right) is appended.
 */
th_err th_kernel_command_decode(th_kernel_command *out, th_slice body, bool has_right,
                                th_buf *why);
void th_kernel_command_deinit(th_kernel_command *command);

/* "InitializeProcess": the name outside. */
const char *th_kernel_command_name(th_kernel_command_kind kind);

/* May anybody give it, within its rights? */
bool th_kernel_command_is_open(th_kernel_command_kind kind);

/* --- Answers ---------------------------------------------------------------------- */

/*
 * Append the answer of a command that had @err, but for DEBUG ones that succeeded.
 * Kinode's forms where it has one ("InitializedProcess", "InitializeProcessError",
 * "StartedProcess", "RunProcessError", {"KilledProcess":ID}), otherwise "Ok" and
 * {"Err":{"reason":REASON,"message":TEXT}}; @id is the command's.
 */
void th_kernel_command_put_answer(th_buf *out, th_kernel_command_kind kind, th_slice id,
                                  th_err err, th_slice message);

/* The same for what was no command at all. */
void th_kernel_command_put_error(th_buf *out, th_err err, th_slice message);

/* The metadata of each answer that is an error: {"reason":REASON,"message":TEXT}. */
void th_kernel_command_put_reason(th_buf *out, th_err err, th_slice message);

/* What Debug tells of a process. */
typedef struct th_kernel_command_process {
    th_slice id; /* "p:k:s" */
    th_slice handle;
    bool has_wit_version;
    uint32_t wit_version;
    const th_on_exit *on_exit;
    const th_capset *caps;
    bool is_public;
} th_kernel_command_process;

/* {"Debug":{"ProcessMap":{...}}}: begin, each process, end. @node is this node's name. */
void th_kernel_command_map_begin(th_buf *out);
void th_kernel_command_map_put(th_buf *out, th_slice node,
                               const th_kernel_command_process *process);
void th_kernel_command_map_end(th_buf *out);

/* {"Debug":{"Process":...}}; NULL: there is none. */
void th_kernel_command_put_process(th_buf *out, th_slice node,
                                   const th_kernel_command_process *process);

/* {"Debug":{"HasCap":...}} */
typedef enum th_has_cap { TH_HAS_CAP_NO, TH_HAS_CAP_YES, TH_HAS_CAP_NOBODY } th_has_cap;
void th_kernel_command_put_has_cap(th_buf *out, th_has_cap has);

#endif

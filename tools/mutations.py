"""The rules that mutate.py breaks, beside the rows of the tables.

TABLES: each line MACRO(a, b, c, ...) of a file is a row; its outcomes are the columns
from the number on, and each in turn is replaced by another that the column has.

RULES: (tests that must notice, file, old text, new text). The old text stands there once.

Tests are those of a folder of src, or of one module there: "svc:command".
"""

TABLES = [
    # tests, file, macro, first column that is an outcome
    ("core", "core/life.c", "ROW", 3),
    ("core", "core/life.c", "BOOT", 2),
    ("core", "core/prompt.c", "REQUEST", 3),
    ("core", "core/prompt.c", "BLOB", 4),
    ("core", "core/prompt.c", "RECEIVE", 2),
    ("core", "core/prompt.c", "ANSWER", 2),
    ("core", "core/prompt.c", "FAIL", 2),
]

RULES = [
    # Capabilities: who has one, and until when.
    ("core", "core/cap.c", "th_slice_eq(cap->issuer->id, key->issuer);", "true;"),
    ("core", "core/cap.c", "if (th_issuer_is_revoked(issuer)) {", "if (false) {"),
    ("core", "core/cap.c", "!th_issuer_is_revoked(cap->issuer);", "true;"),
    ("core", "core/cap.c",
     "return !atomic_load_explicit(&cap->is_revoked, memory_order_acquire) &&", "return"),
    ("core", "core/cap.c",
     "!atomic_load_explicit(&other->is_revoked, memory_order_relaxed) &&", ""),
    ("core", "core/cap.c", "issuer->count < TH_ISSUER_CAPS_MAX", "true"),
    ("core", "core/cap.c", "if (params.bytes > TH_CAP_PARAMS_BYTES_MAX)", "if (false)"),
    ("core", "core/cap.c", "if (++depth > TH_CAP_DEPTH_MAX)", "if (++depth > 9999)"),
    ("core", "core/cap.c", "th_json_encode_sorted(json", "th_json_encode(json"),
    ("core", "core/cap.c", "if (n > TH_CAPS_MAX)", "if (false)"),
    ("svc:cap_json", "svc/cap_json.c", "made.params.bytes > TH_CAP_PARAMS_BYTES_MAX",
     "false"),
    ("core", "core/capset.c",
     "return th_cap_is_messaging(cap) ? (const void *)th_cap_issuer(cap) : cap;",
     "return th_cap_issuer(cap);"),
    ("core", "core/capset.c",
     "return at != NOWHERE && th_cap_is_valid(set->slots[at].cap);",
     "return at != NOWHERE;"),
    ("core", "core/capset.c",
     "return at != NOWHERE && set->slots[at].cap == cap && th_cap_is_valid(cap);",
     "return at != NOWHERE && set->slots[at].cap == cap;"),
    ("core", "core/capset.c", "if (!th_cap_is_valid(cap)) {", "if (false) {"),
    ("core", "core/capset.c", "return set->count < TH_CAPSET_MAX &&", "return"),
    # On exit.
    ("core", "core/on_exit.c", "if (!th_target_is_valid(requests[i].target))",
     "if (false)"),
    ("core", "core/on_exit.c", "if (more > TH_ON_EXIT_BYTES_MAX - bytes)", "if (false)"),
    ("core", "core/on_exit.c", "if (n > TH_ON_EXIT_REQUESTS_MAX)", "if (false)"),
    ("svc:on_exit_json", "svc/on_exit_json.c", "n += found[n] != NULL;", "n += 1;"),
    ("svc:on_exit_json", "svc/on_exit_json.c", "if (n > TH_ON_EXIT_REQUESTS_MAX)",
     "if (false)"),
    ("svc:on_exit_json", "svc/on_exit_json.c", "byte > 255", "false"),
    # How long a restart waits.
    ("core", "core/life.h", "TH_BACKOFF_FIRST_MS 1000u", "TH_BACKOFF_FIRST_MS 2000u"),
    ("core", "core/life.h", "TH_BACKOFF_MOST_MS 600000u", "TH_BACKOFF_MOST_MS 700000u"),
    ("core", "core/life.h", "HEALTHY_LEAST_MS 5000u", "HEALTHY_LEAST_MS 4000u"),
    ("core", "core/life.c", "backoff->restarts == 0 ||", ""),
    ("core", "core/life.c", "ran_ms >= th", "ran_ms > th"),
    ("core", "core/life.c", "? backoff->delay_ms * 2", "? backoff->delay_ms * 3"),
    ("core", "core/prompt.c", "has_prompt ? TH_ANSWER_TO_PROMPTER : TH_ANSWER_TO_NOBODY",
     "TH_ANSWER_TO_PROMPTER"),
    # Who may send, control and name what.
    ("kernel:rights", "kernel/rights.c",
     "holds = th_capset_has_messaging(&rights->held, issuer);", "holds = true;"),
    ("kernel:rights", "kernel/rights.c", "if (target->package == 0) {", "if (false) {"),
    ("kernel:rights", "kernel/rights.c", "th_pid_eq(target->parent, self->ident.pid) ||",
     ""),
    ("kernel:rights", "kernel/rights.c",
     "holds_of(self, target, TH_SLICE(TH_PARAMS_CONTROL)) ||", ""),
    ("kernel:rights", "kernel/rights.c",
     "holds(self, TH_SLICE(TH_ID_KERNEL), TH_CAP_MESSAGING);", "false;"),
    ("kernel:rights", "kernel/rights.c", "return cap == NULL ? NULL : th_cap_ref(cap);",
     "return NULL;"),
    ("kernel:rights", "kernel/rights.c", "th_caps_count(caps) == 0 ? NULL : find_or_make",
     "false ? NULL : find_or_make"),
    ("kernel:rights", "kernel/rights.c", "if (issuer_of(child) == NULL) {",
     "if (false) {"),
    ("kernel:rights", "kernel/rights.c", "if (entry->is_networking) {", "if (false) {"),
    ("kernel:rights", "kernel/route.c", "|| target->is_public ||", "||"),
    ("kernel:rights", "core/identity.c", "th_issuer_revoke(identity->issuer);", ""),
    # What follows an end, and what is durable.
    ("kernel:kernel_life", "kernel/life.c", "if (row->act == TH_LIFE_FIRE) {",
     "if (false) {"),
    ("kernel:kernel_life", "kernel/life.c", "} else if (!saving->stays_held) {",
     "} else if (true) {"),
    ("kernel:kernel_life", "kernel/life.c", "if (job->is_spawn) {", "if (false) {"),
    ("kernel:kernel_life", "kernel/rights.c",
     "if (comes_again && process->ident.name != NULL) {",
     "if (process->ident.name != NULL) {"),
    ("kernel:rights", "kernel/rights.c",
     "child->is_lent = !holds_messaging(parent, issuer_of(child));", ""),
    ("kernel:rights", "kernel/rights.c", "issuer != NULL && process->is_heir &&",
     "false &&"),
    ("kernel:kernel_life", "kernel/names.c", "if (chosen.bytes > 0 && !spec->is_again &&",
     "if (false &&"),
    ("kernel:trace", "kernel/trace.c", "th_pid_eq(a->pid, b->pid) ||", ""),
    # Who may command.
    ("svc:command", "svc/command.c", "if (!row->is_open && !has_right)", "if (false)"),
    ("svc:command", "svc/command.c", "if (address.node.bytes > 0)", "if (false)"),
    ("svc:command", "svc/command.c", "if (body.bytes > most)", "if (false)"),
    ("svc:command", "svc/command.c", "if (n > TH_KERNEL_COMMAND_CAPS_MAX)", "if (false)"),
]

CLOSED = ["InitializeProcess", "GrantCapabilities", "DropCapabilities", "SetOnExit",
          "RunProcess", "KillProcess", "Shutdown"]
RULES += [("svc:command", "svc/command.c", f'"{name}", NULL, false', f'"{name}", NULL, true')
          for name in CLOSED]
RULES += [("svc:command", "svc/command.c", f'"Debug", "{name}", false',
           f'"Debug", "{name}", true') for name in ["ProcessMap", "Process", "HasCap"]]

/* SPDX-License-Identifier: MIT */
#include "replay/decision_line.h"

void decision_line_put(struct buffer *out, const struct decision *decision)
{
    buffer_put_span(out, decision->id);
    buffer_put_text(out, " action=");
    buffer_put_text(out, action_text(decision->action));
    buffer_put_text(out, " reason=");
    buffer_put_text(out, reason_code(decision->reason));
    buffer_put_text(out, " job=");
    buffer_put_json_string(out, decision->job);
    buffer_put_text(out, " worker=");
    buffer_put_json_string(out, decision->worker);
    buffer_put_text(out, " attempt=");
    buffer_put_decimal(out, decision->attempt);
    buffer_put_text(out, " mode=");
    buffer_put_span(out, decision->mode);
    buffer_put_text(out, " evidence=");
    buffer_put_span(out, decision->evidence);
    buffer_put_byte(out, '\n');
}

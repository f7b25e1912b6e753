/* SPDX-License-Identifier: MIT */
#include "replay/why.h"

#include "replay/reasoning.h"

static void put_near(const struct story *story, struct buffer *near)
{
    for (uint32_t i = 0; i < story->near_count; i++) {
        buffer_put_span(near, story->near[i]);
        buffer_put_byte(near, '\n');
    }
}

static void put_story(const struct why_config *config, const struct story *story,
                      struct buffer *out)
{
    bool is_state = config->at.kind != PLACE_NONE;
    if (is_state && config->is_json) {
        why_put_state_json(story, out);
    } else if (is_state) {
        why_put_state_text(story, config->palette, out);
    } else if (config->is_json) {
        why_put_json(story, out);
    } else {
        why_put_text(story, config->palette, out);
    }
}

bool why_tell(const struct why_config *config, struct buffer *out, struct buffer *near,
              bool *is_known, struct error *error)
{
    struct story story = {.job = config->job, .until = config->at};
    bool is_fine =
        (config->audit == NULL || story_take_audit(&story, config->audit, error)) &&
        (config->capture == NULL ||
         story_take_capture(&story, config->capture, config->step, config->payload, error));
    if (is_fine) {
        story_finish(&story);
        *is_known = story_is_known(&story);
        if (*is_known) {
            put_story(config, &story, out);
        } else {
            put_near(&story, near);
            if (config->unread != NULL) {
                reasoning_put_unread(&story, config->unread);
            }
        }
    }
    story_fini(&story);
    return is_fine;
}

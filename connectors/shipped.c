/* SPDX-License-Identifier: MIT
 * Profiles: those that Salvor ships, put into the program as they are. */
#include "comfyui_yaml.h"
#include "connectors/profile.h"
#include "openai_responses_yaml.h"
#include "rclone_yaml.h"
#include "replicate_yaml.h"
#include "rest_async_yaml.h"
#include "rest_token_yaml.h"

const struct profile_shipped *profile_shipped(size_t *count)
{
    static const struct profile_shipped all[] = {
        {"comfyui.yaml", {comfyui_yaml, comfyui_yaml_size}},
        {"openai_responses.yaml", {openai_responses_yaml, openai_responses_yaml_size}},
        {"rclone.yaml", {rclone_yaml, rclone_yaml_size}},
        {"replicate.yaml", {replicate_yaml, replicate_yaml_size}},
        {"rest_async.yaml", {rest_async_yaml, rest_async_yaml_size}},
        {"rest_token.yaml", {rest_token_yaml, rest_token_yaml_size}},
    };
    *count = sizeof(all) / sizeof(all[0]);
    return all;
}

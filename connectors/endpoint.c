/* SPDX-License-Identifier: MIT
 * An endpoint. */
#include "connectors/endpoint.h"

#include "base/alloc.h"
#include "base/check.h"

struct share *share_create(struct service *service, uint64_t now_ms)
{
    struct share *share = mem_zero(sizeof(*share));
    share->service = service;
    share->bucket = bucket_create(service->rate_per_s, now_ms);
    for (size_t i = 0; i < ENDPOINT_STANDINGS; i++) {
        TAILQ_INIT(&share->ready[i]);
    }
    TAILQ_INIT(&share->replied);
    return share;
}

void share_destroy(struct share *share)
{
    CHECK(TAILQ_EMPTY(&share->replied));
    mem_free(share);
}

struct span url_authority(struct span url)
{
    size_t slashes = 0, size = 0;
    while (size < url.size && url.data[size] != '?' && url.data[size] != '#' && slashes < 3) {
        slashes += url.data[size] == '/';
        size++;
    }
    return (struct span){url.data, slashes == 3 ? size - 1 : size};
}

void endpoint_put_key(struct buffer *out, const struct service *service, struct span authority)
{
    buffer_put_text(out, service->name);
    buffer_put_byte(out, '\n');
    buffer_put_span(out, authority);
}

struct endpoint *endpoint_create(struct service *service, struct span authority)
{
    struct endpoint *endpoint = mem_zero(sizeof(*endpoint));
    endpoint_put_key(&endpoint->key, service, authority);
    endpoint->authority =
        (struct span){endpoint->key.data + (endpoint->key.size - authority.size), authority.size};
    endpoint->service = service;
    endpoint->breaker = breaker_create();
    TAILQ_INIT(&endpoint->queue);
    return endpoint;
}

void endpoint_destroy(struct endpoint *endpoint)
{
    CHECK(endpoint_is_idle(endpoint));
    CHECK(!endpoint->is_ready);
    buffer_fini(&endpoint->key);
    mem_free(endpoint);
}

bool endpoint_is_idle(const struct endpoint *endpoint)
{
    return TAILQ_EMPTY(&endpoint->queue) && endpoint->active == 0;
}

void endpoint_review(struct endpoint *endpoint, uint64_t per_host, uint64_t now_ms)
{
    bool is_ready = !TAILQ_EMPTY(&endpoint->queue) && endpoint->active < per_host &&
                    now_ms >= endpoint->paused_until && breaker_may_send(&endpoint->breaker);
    if (is_ready && !endpoint->is_ready) {
        TAILQ_INSERT_TAIL(&endpoint->service->share->ready[endpoint->standing], endpoint, turn);
        endpoint->is_ready = true;
    } else if (!is_ready) {
        endpoint_unready(endpoint);
    }
}

void endpoint_unready(struct endpoint *endpoint)
{
    if (endpoint->is_ready) {
        TAILQ_REMOVE(&endpoint->service->share->ready[endpoint->standing], endpoint, turn);
        endpoint->is_ready = false;
    }
}

void endpoint_set_standing(struct endpoint *endpoint, enum endpoint_standing standing)
{
    if (endpoint->standing != standing) {
        endpoint_unready(endpoint);
        endpoint->standing = standing;
    }
}

void endpoint_pause(struct endpoint *endpoint, uint64_t pause_ms, uint64_t now_ms)
{
    if (now_ms + pause_ms > endpoint->paused_until) {
        endpoint->paused_until = now_ms + pause_ms;
    }
}

const struct profile_variant *endpoint_variant(const struct endpoint *endpoint, uint64_t now_ms)
{
    const struct profile *profile = endpoint->service->profile;
    if (profile->variant_count == 1) {
        return &profile->variants[0];
    }
    bool is_kept = now_ms < endpoint->variant_until && endpoint->doubts < VARIANT_DOUBTS_MAX;
    return is_kept ? endpoint->variant : NULL;
}

static bool can_cancel(const struct service *service, const struct profile_variant *variant)
{
    for (size_t i = 0; i < variant->cancel.count; i++) {
        if (!variant->cancel.list[i].is_global || service->is_exclusive) {
            return true;
        }
    }
    return false;
}

void endpoint_put_capabilities(const struct endpoint *endpoint, struct buffer *out)
{
    const struct profile *profile = endpoint->service->profile;
    const struct profile_variant *variant =
        profile->variant_count == 1 ? &profile->variants[0] : endpoint->variant;
    buffer_put_text(out, "status");
    if (variant == NULL) {
        return;
    }
    buffer_put_text(out, can_cancel(endpoint->service, variant) ? " cancel" : "");
    buffer_put_text(out, variant->has_result ? " result" : "");
    if (variant->name.size > 0) {
        buffer_put_text(out, " variant=");
        buffer_put_span(out, variant->name);
    }
}

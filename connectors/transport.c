/* SPDX-License-Identifier: MIT
 * HTTP requests through libcurl's multi interface. libcurl has the resolver run in a thread of its
 * own, and a handle that is removed while its name still resolves waits for that thread, which may
 * take far longer than our time; CURLOPT_QUICK_EXIT has it left behind instead. */
#include <arpa/inet.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <curl/curl.h>

#include "base/alloc.h"
#include "base/check.h"
#include "connectors/transport.h"

#define CONNECT_MS_MAX       1000
#define LOW_SPEED_BYTES      16 /* a second, */
#define LOW_SPEED_S          4  /* for so long */
#define CONNECTIONS_KEPT_MAX 64

struct transfer {
    TAILQ_ENTRY(transfer) links;
    CURL *easy;                /* owned */
    CURLU *url;                /* owned; the easy handle sends to just what was checked */
    char *host;                /* owned, of libcurl */
    const struct allow *allow; /* the request's */
    struct buffer request_body, body;
    uint64_t body_max;
    bool is_too_large, is_refused;
    void *owner;
};

TAILQ_HEAD(transfer_list, transfer);

struct transport {
    CURLM *multi;                    /* owned */
    struct curl_slist *get_headers;  /* owned */
    struct curl_slist *post_headers; /* owned */
    struct transfer_list transfers;  /* under way */
    uint64_t body_max;
};

struct transport *transport_create(uint64_t body_max)
{
    struct transport *transport = mem_zero(sizeof(*transport));
    CHECK(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK);
    TAILQ_INIT(&transport->transfers);
    transport->body_max = body_max;
    transport->multi = curl_multi_init();
    CHECK(transport->multi != NULL);
    curl_multi_setopt(transport->multi, CURLMOPT_MAXCONNECTS, (long)CONNECTIONS_KEPT_MAX);
    static const char *const common[] = {"Accept: application/json", "Expect:"};
    for (size_t i = 0; i < sizeof(common) / sizeof(common[0]); i++) {
        transport->get_headers = curl_slist_append(transport->get_headers, common[i]);
        transport->post_headers = curl_slist_append(transport->post_headers, common[i]);
    }
    transport->post_headers =
        curl_slist_append(transport->post_headers, "Content-Type: application/json");
    CHECK(transport->get_headers != NULL && transport->post_headers != NULL);
    return transport;
}

static void transfer_destroy(struct transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    curl_url_cleanup(transfer->url);
    curl_free(transfer->host);
    buffer_fini(&transfer->request_body);
    buffer_fini(&transfer->body);
    mem_free(transfer);
}

static void transfer_remove(struct transport *transport, struct transfer *transfer)
{
    curl_multi_remove_handle(transport->multi, transfer->easy);
    TAILQ_REMOVE(&transport->transfers, transfer, links);
    transfer_destroy(transfer);
}

void transport_destroy(struct transport *transport)
{
    if (transport == NULL) {
        return;
    }
    while (!TAILQ_EMPTY(&transport->transfers)) {
        transfer_remove(transport, TAILQ_FIRST(&transport->transfers));
    }
    curl_multi_cleanup(transport->multi);
    curl_slist_free_all(transport->get_headers);
    curl_slist_free_all(transport->post_headers);
    curl_global_cleanup();
    mem_free(transport);
}

/* The parsed URL and its host, both the caller's; NULL when it is no URL that Salvor asks. */
static CURLU *url_parse(const char *text, char **host)
{
    char *scheme = NULL, *user = NULL;
    CURLU *url = curl_url();
    CHECK(url != NULL);
    bool is_good = curl_url_set(url, CURLUPART_URL, text, CURLU_PATH_AS_IS) == CURLUE_OK &&
                   curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                   (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0) &&
                   curl_url_get(url, CURLUPART_USER, &user, 0) == CURLUE_NO_USER &&
                   curl_url_get(url, CURLUPART_HOST, host, 0) == CURLUE_OK;
    curl_free(scheme);
    curl_free(user);
    if (!is_good) {
        curl_url_cleanup(url);
        return NULL;
    }
    return url;
}

bool transport_allow_url(struct allow *list, const char *url, struct error *error)
{
    char *host = NULL;
    CURLU *parsed = url_parse(url, &host);
    if (parsed == NULL) {
        return error_set(error, ERROR_USAGE, /* without it: it may hold a password */
                         "the base is no URL to ask; allowed: http or https, without a user");
    }
    bool is_added = allow_add(list, host, error);
    curl_url_cleanup(parsed);
    curl_free(host);
    return is_added;
}

static size_t on_body(char *data, size_t one, size_t size, void *closure)
{
    struct transfer *transfer = closure;
    (void)one;
    if (transfer->body.size + size > transfer->body_max) {
        transfer->is_too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    buffer_put(&transfer->body, data, size);
    return size;
}

/* Asked before connecting: nothing is sent, not even a SYN, to an address that is not allowed. */
static curl_socket_t on_open_socket(void *closure, curlsocktype purpose,
                                    struct curl_sockaddr *address)
{
    struct transfer *transfer = closure;
    (void)purpose;
    if (!allow_peer(transfer->allow, transfer->host, &address->addr)) {
        transfer->is_refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

/* Asked before a request goes out on a connection, which may be one that another service opened
 * under another list. */
static int on_request(void *closure, char *peer, char *own, int peer_port, int own_port)
{
    struct transfer *transfer = closure;
    struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
    struct sockaddr_in ipv4 = {.sin_family = AF_INET};
    const struct sockaddr *address = NULL;
    (void)own;
    (void)peer_port;
    (void)own_port;
    if (inet_pton(AF_INET, peer, &ipv4.sin_addr) == 1) {
        address = (const struct sockaddr *)&ipv4;
    } else if (inet_pton(AF_INET6, peer, &ipv6.sin6_addr) == 1) {
        address = (const struct sockaddr *)&ipv6;
    }
    if (address == NULL || !allow_peer(transfer->allow, transfer->host, address)) {
        transfer->is_refused = true;
        return CURL_PREREQFUNC_ABORT;
    }
    return CURL_PREREQFUNC_OK;
}

static void transfer_set_limits(struct transfer *transfer, uint64_t timeout_ms)
{
    CURL *easy = transfer->easy;
    uint64_t connect_ms = timeout_ms < CONNECT_MS_MAX ? timeout_ms : CONNECT_MS_MAX;
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(easy, CURLOPT_PROXY, "");
    curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy, CURLOPT_NETRC, (long)CURL_NETRC_IGNORED);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, (long)LOW_SPEED_BYTES);
    curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)LOW_SPEED_S);
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)transfer->body_max);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
}

bool transport_send(struct transport *transport, const struct transport_request *request,
                    const char **word)
{
    struct transfer *transfer = mem_zero(sizeof(*transfer));
    struct buffer url = {0};
    buffer_put_span(&url, request->url);
    buffer_put_byte(&url, 0);
    transfer->url = url_parse(url.data, &transfer->host);
    buffer_fini(&url);
    *word = transfer->url == NULL                         ? "bad_url"
            : !allow_host(request->allow, transfer->host) ? "host_not_allowed"
                                                          : NULL;
    if (*word != NULL) {
        transfer_destroy(transfer);
        return false;
    }
    transfer->allow = request->allow;
    transfer->owner = request->owner;
    transfer->body_max = transport->body_max;
    transfer->easy = curl_easy_init();
    CHECK(transfer->easy != NULL);
    curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(transfer->easy, CURLOPT_CURLU, transfer->url);
    curl_easy_setopt(transfer->easy, CURLOPT_USERAGENT, "salvor");
    curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER,
                     request->is_post ? transport->post_headers : transport->get_headers);
    transfer_set_limits(transfer, request->timeout_ms);
    if (request->is_post) {
        buffer_put_span(&transfer->request_body, request->body);
        curl_easy_setopt(transfer->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDSIZE, (long)request->body.size);
        curl_easy_setopt(transfer->easy, CURLOPT_POSTFIELDS,
                         request->body.size > 0 ? transfer->request_body.data : "");
    }
    TAILQ_INSERT_TAIL(&transport->transfers, transfer, links);
    CHECK(curl_multi_add_handle(transport->multi, transfer->easy) == CURLM_OK);
    return true;
}

static const char *word_of(CURLcode code)
{
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return "timeout";
    case CURLE_COULDNT_RESOLVE_HOST:
        return "no_such_host";
    case CURLE_COULDNT_CONNECT:
        return "not_connected";
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
        return "tls";
    default:
        return "broken_off";
    }
}

static void transfer_ended(struct transfer *transfer, CURLcode code, transport_done_fn *done,
                           void *context)
{
    struct transport_reply reply = {.end = TRANSPORT_REPLIED};
    long http = 0;
    char *content_type = NULL;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &http);
    curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &content_type);
    if (transfer->is_refused) {
        reply.end = TRANSPORT_REFUSED;
        reply.word = "host_not_allowed";
    } else if (transfer->is_too_large || code == CURLE_FILESIZE_EXCEEDED) {
        reply.end = TRANSPORT_TOO_LARGE;
        reply.word = "too_large";
    } else if (code != CURLE_OK) {
        reply.end = TRANSPORT_NO_REPLY;
        reply.word = word_of(code);
    }
    reply.http = (uint64_t)http;
    reply.content_type = span_of(content_type);
    reply.body = buffer_span(&transfer->body);
    done(context, transfer->owner, &reply);
}

void transport_run(struct transport *transport, uint64_t wait_ms, transport_done_fn *done,
                   void *context)
{
    int running, left;
    bool has_ended = false;
    CHECK(curl_multi_perform(transport->multi, &running) == CURLM_OK);
    for (CURLMsg *message; (message = curl_multi_info_read(transport->multi, &left)) != NULL;) {
        CHECK(message->msg == CURLMSG_DONE);
        char *private = NULL;
        CURLcode code = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &private);
        struct transfer *transfer = (struct transfer *)(void *)private;
        transfer_ended(transfer, code, done, context);
        transfer_remove(transport, transfer);
        has_ended = true;
    }
    if (!has_ended) {
        CHECK(curl_multi_poll(transport->multi, NULL, 0, (int)wait_ms, NULL) == CURLM_OK);
    }
}

void transport_wake(struct transport *transport)
{
    curl_multi_wakeup(transport->multi);
}

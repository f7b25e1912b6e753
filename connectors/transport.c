/* SPDX-License-Identifier: MIT
 * HTTP requests through libcurl's multi interface. libcurl has the resolver run in a thread of its
 * own, and a handle that is removed while its name still resolves waits for that thread, which may
 * take far longer than our time; CURLOPT_QUICK_EXIT has it left behind instead. */
#include <arpa/inet.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include <curl/curl.h>

#include "base/alloc.h"
#include "base/check.h"
#include "connectors/transport.h"

#define CONNECT_MS_MAX       1000
#define CONNECTIONS_KEPT_MAX 64

struct transfer {
    TAILQ_ENTRY(transfer) links;
    CURL *easy; /* owned */
    CURLU *url; /* owned; the easy handle sends to just what was checked */
    char *host; /* owned, of libcurl */
    uint16_t port;
    struct curl_slist *headers; /* owned */
    const struct allow *allow;  /* the request's */
    struct buffer request_body, body;
    uint64_t body_max;
    uint64_t *bodies; /* the request's, or own_bodies */
    uint64_t own_bodies;
    bool is_local; /* through a unix socket: there is no address to judge */
    bool is_too_large, is_refused;
    bool is_sent; /* to an address that is allowed, whatever others the name has */
    void *owner;
    struct transport *transport;
    struct transport_reply reply; /* of its end */
};

TAILQ_HEAD(transfer_list, transfer);

struct transport {
    CURLM *multi;                   /* owned */
    struct transfer_list transfers; /* under way, or ended and not released */
    uint64_t body_max;
    uint64_t bodies; /* bytes held */
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
    return transport;
}

static void transfer_destroy(struct transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    curl_url_cleanup(transfer->url);
    curl_free(transfer->host);
    curl_slist_free_all(transfer->headers);
    buffer_fini(&transfer->request_body);
    buffer_fini(&transfer->body);
    mem_free(transfer);
}

static void transfer_remove(struct transport *transport, struct transfer *transfer)
{
    curl_multi_remove_handle(transport->multi, transfer->easy); /* may have been before */
    transport->bodies -= transfer->body.size;
    *transfer->bodies -= transfer->body.size;
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
    struct transport *transport = transfer->transport;
    (void)one;
    if (transfer->body.size + size > transfer->body_max ||
        transport->bodies + *transfer->bodies + size > TRANSPORT_BODIES_MAX) {
        transfer->is_too_large = true;
        return CURL_WRITEFUNC_ERROR;
    }
    buffer_put(&transfer->body, data, size);
    transport->bodies += size;
    *transfer->bodies += size;
    return size;
}

/* Asked before connecting: nothing is sent, not even a SYN, to an address that is not allowed. */
static curl_socket_t on_open_socket(void *closure, curlsocktype purpose,
                                    struct curl_sockaddr *address)
{
    struct transfer *transfer = closure;
    (void)purpose;
    bool is_unix = address->family == AF_UNIX;
    if (is_unix != transfer->is_local ||
        (!is_unix && !allow_peer(transfer->allow, transfer->host, &address->addr))) {
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
    (void)own_port;
    ipv4.sin_port = ipv6.sin6_port = htons((uint16_t)peer_port);
    if (transfer->is_local) {
        transfer->is_sent = true;
        return CURL_PREREQFUNC_OK;
    }
    if (inet_pton(AF_INET, peer, &ipv4.sin_addr) == 1) {
        address = (const struct sockaddr *)&ipv4;
    } else if (inet_pton(AF_INET6, peer, &ipv6.sin6_addr) == 1) {
        address = (const struct sockaddr *)&ipv6;
    }
    if (address == NULL || !allow_peer(transfer->allow, transfer->host, address)) {
        transfer->is_refused = true;
        return CURL_PREREQFUNC_ABORT;
    }
    transfer->is_sent = true;
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
    curl_easy_setopt(easy, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)transfer->body_max);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_request);
    curl_easy_setopt(easy, CURLOPT_PREREQDATA, transfer);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer);
}

static bool header_is(struct span line, const char *name)
{
    struct span found = span_cut(&line, ':');
    return found.size == strlen(name) && strncasecmp(found.data, name, found.size) == 0;
}

/* A name, a colon and a value on one line. */
static bool is_header(struct span line)
{
    const char *colon = line.size > 0 ? memchr(line.data, ':', line.size) : NULL;
    for (size_t i = 0; i < line.size; i++) {
        unsigned char c = (unsigned char)line.data[i];
        bool is_in_name = colon != NULL && line.data + i < colon;
        if (c < ' ' || c == 0x7f || (is_in_name && (c == ' ' || c > '~'))) {
            return false;
        }
    }
    return colon != NULL && colon > line.data;
}

static void add_header(struct transfer *transfer, struct span line)
{
    struct buffer text = {0};
    buffer_put_span(&text, line);
    buffer_put_byte(&text, 0);
    struct curl_slist *headers = curl_slist_append(transfer->headers, text.data);
    CHECK(headers != NULL);
    transfer->headers = headers;
    buffer_fini(&text);
}

/* The request's own headers, and Salvor's where it does not set the same. */
static bool transfer_set_headers(struct transfer *transfer, const struct transport_request *request)
{
    /* Without a value libcurl leaves out what it would send of itself. */
    static const char *const own[][2] = {
        {"Accept", "Accept: application/json"},
        {"Expect", "Expect:"},
        {"Content-Type", "Content-Type: application/json"},
    };
    for (size_t i = 0; i < request->header_count; i++) {
        if (!is_header(request->headers[i])) {
            return false;
        }
        add_header(transfer, request->headers[i]);
    }
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        bool is_set = false;
        for (size_t k = 0; k < request->header_count; k++) {
            is_set = is_set || header_is(request->headers[k], own[i][0]);
        }
        bool is_type = strcmp(own[i][0], "Content-Type") == 0;
        const char *line = is_type && request->body.size == 0 ? "Content-Type:" : own[i][1];
        if (!is_set) {
            add_header(transfer, span_of(line));
        }
    }
    curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers);
    return true;
}

static void transfer_set_method(struct transfer *transfer, const struct transport_request *request)
{
    CURL *easy = transfer->easy;
    if (request->method == HTTP_POST || request->method == HTTP_PUT) {
        buffer_put_span(&transfer->request_body, request->body);
        curl_easy_setopt(easy, CURLOPT_POST, 1L);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)request->body.size);
        curl_easy_setopt(easy, CURLOPT_POSTFIELDS,
                         request->body.size > 0 ? transfer->request_body.data : "");
    }
    if (request->method == HTTP_PUT || request->method == HTTP_DELETE) {
        curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST,
                         request->method == HTTP_PUT ? "PUT" : "DELETE");
    }
}

static void transfer_set_place(struct transfer *transfer, const struct transport_request *request)
{
    CURL *easy = transfer->easy;
    curl_easy_setopt(easy, CURLOPT_CURLU, transfer->url);
    if (request->ca_file != NULL) {
        curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca_file);
    }
    if (request->unix_socket != NULL) {
        curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request->unix_socket);
        transfer->is_local = true;
    }
    if (request->is_fresh) {
        /* On a kept connection that turns out dead libcurl would send the request again. */
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
        curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
    }
}

/* 0: none that could be asked. */
static uint16_t port_of(CURLU *url)
{
    char *text = NULL;
    uint64_t port = 0;
    bool is_told = curl_url_get(url, CURLUPART_PORT, &text, CURLU_DEFAULT_PORT) == CURLUE_OK &&
                   span_to_number(span_of(text), UINT16_MAX, &port);
    curl_free(text);
    return is_told ? (uint16_t)port : 0;
}

static bool is_https(CURLU *url)
{
    char *scheme = NULL;
    bool is_safe = curl_url_get(url, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
                   strcasecmp(scheme, "https") == 0;
    curl_free(scheme);
    return is_safe;
}

/* Workers tell where their service is, and a reply where its job is: neither may have our secret
 * sent to a port, or in clear, where the configuration did not mean it to go. */
static bool may_have_secret(const struct transfer *transfer,
                            const struct transport_request *request)
{
    if (allow_place(request->allow, transfer->host, transfer->port)) {
        return true;
    }
    if (request->base == NULL) {
        return is_https(transfer->url);
    }
    char *host = NULL;
    CURLU *base = url_parse(request->base, &host);
    bool is_same = base != NULL && is_https(base) == is_https(transfer->url) &&
                   port_of(base) == transfer->port && strcasecmp(host, transfer->host) == 0;
    curl_url_cleanup(base);
    curl_free(host);
    return is_same;
}

/* Everything that the request asks for; a word when it can not be sent. */
static const char *transfer_prepare(struct transfer *transfer,
                                    const struct transport_request *request)
{
    struct buffer url = {0};
    bool is_text = request->url.size > 0 && memchr(request->url.data, 0, request->url.size) == NULL;
    buffer_put_span(&url, request->url);
    buffer_put_byte(&url, 0);
    transfer->url = is_text ? url_parse(url.data, &transfer->host) : NULL;
    buffer_fini(&url);
    if (transfer->url == NULL) {
        return "bad_url";
    }
    transfer->port = port_of(transfer->url);
    if (!allow_host(request->allow, transfer->host, transfer->port)) {
        return "host_not_allowed";
    }
    if (request->has_secret && !may_have_secret(transfer, request)) {
        return "token_not_allowed";
    }
    transfer->easy = curl_easy_init();
    CHECK(transfer->easy != NULL);
    if (!transfer_set_headers(transfer, request)) {
        return "bad_header";
    }
    transfer->allow = request->allow;
    transfer->owner = request->owner;
    curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, transfer);
    curl_easy_setopt(transfer->easy, CURLOPT_USERAGENT, "salvor");
    transfer_set_method(transfer, request);
    transfer_set_place(transfer, request);
    transfer_set_limits(transfer, request->timeout_ms);
    return NULL;
}

bool transport_send(struct transport *transport, const struct transport_request *request,
                    const char **word)
{
    CHECK(request->method != HTTP_NONE);
    struct transfer *transfer = mem_zero(sizeof(*transfer));
    transfer->body_max = request->body_max > 0 ? request->body_max : transport->body_max;
    transfer->transport = transport;
    transfer->bodies = request->bodies != NULL ? request->bodies : &transfer->own_bodies;
    *word = transfer_prepare(transfer, request);
    if (*word != NULL) {
        transfer_destroy(transfer);
        return false;
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
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
        return "tls";
    default:
        return "broken_off";
    }
}

/* libcurl reads both forms, seconds and a date. */
static uint64_t retry_after_ms(CURL *easy)
{
    curl_off_t seconds = 0;
    curl_easy_getinfo(easy, CURLINFO_RETRY_AFTER, &seconds);
    const curl_off_t most = RETRY_AFTER_MS_MAX / 1000;
    return (uint64_t)(seconds < 0 ? 0 : seconds > most ? most : seconds) * 1000;
}

static void transfer_ended(struct transfer *transfer, CURLcode code)
{
    struct transport_reply reply = {.end = TRANSPORT_REPLIED};
    long http = 0;
    char *content_type = NULL;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &http);
    curl_easy_getinfo(transfer->easy, CURLINFO_CONTENT_TYPE, &content_type);
    if (code != CURLE_OK && transfer->is_refused && !transfer->is_sent) {
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
    reply.retry_after_ms = retry_after_ms(transfer->easy);
    reply.body = buffer_span(&transfer->body);
    transfer->reply = reply;
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
        transfer_ended(transfer, code);
        /* What it holds of a connection goes back; its handle keeps the reply's texts. */
        curl_multi_remove_handle(transport->multi, transfer->easy);
        done(context, transfer->owner, &transfer->reply);
        has_ended = true;
    }
    if (!has_ended) {
        CHECK(curl_multi_poll(transport->multi, NULL, 0, (int)wait_ms, NULL) == CURLM_OK);
    }
}

void transport_release(struct transport *transport, const struct transport_reply *reply)
{
    const size_t offset = offsetof(struct transfer, reply);
    struct transfer *transfer = (struct transfer *)(void *)((char *)(uintptr_t)reply - offset);
    CHECK(transfer->reply.end != TRANSPORT_NONE);
    transfer_remove(transport, transfer);
}

void transport_wake(struct transport *transport)
{
    curl_multi_wakeup(transport->multi);
}

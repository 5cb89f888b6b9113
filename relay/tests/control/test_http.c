// SPDX-License-Identifier: MIT
/*
 * http: a server on a free port of the loopback, for a relay that is made up, and its clients, all
 * in one thread: turn() is one turn of the supervisor's loop. The time of clients stands still
 * until a test moves it. What TCP carries is waited for, however long it takes; what never comes
 * is ended by an alarm, and the program with it.
 */
#include "control/http.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>

#include "../made_up.h"
#include "../own_network.h"

enum { TOO_LONG_S = 800 };

static struct http http;
static union address address; /* of the server */
static int64_t time_ms;

static int64_t clock_ms(void)
{
	return time_ms;
}

/* ------------------------------------------------------------------------- both ends */

static int listener(void)
{
	return MHD_get_daemon_info(http.daemon, MHD_DAEMON_INFO_LISTEN_FD)->listen_fd;
}

/* `text` with any free port. */
static int open_server(const char *host)
{
	char error[ADDRESS_ERROR_BYTES], text[ADDRESS_TEXT_BYTES];
	socklen_t size = sizeof(address);
	int rc;

	snprintf(text, sizeof(text), "%s:1", host);
	assert_int_equal(address_parse(text, &address, error), 0);
	address.v4.sin_port = 0; /* where that of IPv6 is, too */
	rc = http_open(&http, &address, &relay.reporter, &relay.health);
	http.clients.clock_ms = clock_ms;
	if (rc == 0)
		getsockname(listener(), &address.any, &size);
	return rc;
}

/* Waits for something to do for the server, or for `events` of a client's end; the server does it.
 */
static void turn_or(int fd, short events)
{
	struct pollfd fds[] = {http_poll(&http), {.fd = fd, .events = events}};

	assert_true(fds[0].fd >= 0);
	assert_true(poll(fds, 2, http_due_ms(&http) == 0 ? 0 : -1) >= 0);
	http_handle(&http);
}

static void turn(void)
{
	turn_or(-1, 0);
}

static int connect_from(const char *source)
{
	struct sockaddr_in from = {.sin_family = AF_INET};
	int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (source) {
		assert_int_equal(inet_pton(AF_INET, source, &from.sin_addr), 1);
		assert_int_equal(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	}
	assert_int_equal(connect(fd, &address.any, address_bytes(&address)), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	return fd;
}

static int connected(void)
{
	return connect_from(NULL);
}

/* Fails only if the server has closed the connection. */
static bool say(int fd, const char *text)
{
	return send(fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

static unsigned count_clients(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < HTTP_PLACES; i++)
		count += http.clients.client[i].step != HTTP_FREE;
	return count;
}

static void until_clients(unsigned count)
{
	while (count_clients() != count)
		turn();
}

/* The server has closed it. */
static bool is_closed(int fd)
{
	char byte;
	ssize_t got = recv(fd, &byte, 1, MSG_PEEK);

	return got == 0 || (got < 0 && errno != EAGAIN);
}

static struct answer {
	char text[16384]; /* the beginning */
	size_t bytes;	  /* of head and body, all of it */
	size_t head_bytes, body_bytes;
} answer;

/* Takes what has come; false at the end. */
static bool take_some(int fd)
{
	char more[65536];
	ssize_t got = recv(fd, more, sizeof(more), 0);
	size_t room = sizeof(answer.text) - 1 - answer.bytes;

	if (got < 0) {
		assert_true(errno == EAGAIN || errno == ECONNRESET);
		return errno == EAGAIN;
	}
	if (answer.bytes < sizeof(answer.text) - 1)
		memcpy(answer.text + answer.bytes, more, (size_t)got < room ? (size_t)got : room);
	answer.bytes += (size_t)got;
	return got > 0;
}

static const char *header(const char *name)
{
	static char value[256];
	const char *found = strcasestr(answer.text, name);

	if (!found || found > answer.text + answer.head_bytes)
		return "";
	found += strlen(name);
	snprintf(value, sizeof(value), "%.*s", (int)strcspn(found, "\r"), found);
	return value;
}

/* The next answer, or what there is of it before the connection is closed; its status, 0 for
 * none. */
static unsigned take_answer(int fd, bool has_body)
{
	unsigned status = 0;
	char *end;

	answer = (struct answer){0};
	while (take_some(fd)) {
		end = strstr(answer.text, "\r\n\r\n");
		if (end) {
			answer.head_bytes = (size_t)(end + 4 - answer.text);
			answer.body_bytes = answer.bytes - answer.head_bytes;
			if (!has_body ||
			    answer.body_bytes == strtoul(header("\r\nContent-Length: "), NULL, 10))
				break;
		}
		turn_or(fd, POLLIN);
	}
	if (answer.bytes)
		assert_int_equal(sscanf(answer.text, "HTTP/1.%*1[01] %3u ", &status), 1);
	return status;
}

static unsigned ask(const char *request)
{
	int fd = connected();
	unsigned status;

	assert_true(say(fd, request));
	status = take_answer(fd, strncmp(request, "HEAD", 4) != 0);
	close(fd);
	return status;
}

static unsigned get(const char *path)
{
	char request[256];

	snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
	return ask(request);
}

static int setup(void **state)
{
	(void)state;
	alarm(TOO_LONG_S);
	time_ms = 1000000;
	make_up(2);
	make_up_rule("one", endpoint("in0", "239.1.1.1", 5000));
	return open_server("127.0.0.1");
}

static int teardown(void **state)
{
	(void)state;
	http_close(&http);
	forget();
	alarm(0);
	return 0;
}

/* ------------------------------------------------------------------------- answers */

static void test_metrics(void **state)
{
	(void)state;
	assert_int_equal(get("/metrics"), 200);
	assert_string_equal(header("\r\nContent-Type: "),
			    "text/plain; version=0.0.4; charset=utf-8");
	assert_string_equal(header("\r\nCache-Control: "), "no-store");
	assert_int_equal(strncmp(answer.text + answer.head_bytes, "# HELP mcrelay_build_info ", 26),
			 0);
	assert_non_null(strstr(answer.text, "\nmcrelay_rules 1\n"));
	assert_int_equal(get("/metrics?a=b&c"), 200);
}

static void assert_health(unsigned status, const char *word)
{
	json_t *page;

	assert_int_equal(get("/health"), status);
	assert_string_equal(header("\r\nContent-Type: "), "application/json");
	page = json_loads(answer.text + answer.head_bytes, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(page);
	assert_string_equal(json_string_value(json_object_get(page, "status")), word);
	json_decref(page);
}

static void test_health(void **state)
{
	(void)state;
	assert_health(200, "ok");
	relay.workers.worker[1].ready = false;
	assert_health(503, "degraded");
	relay.workers.worker[1].ready = true;
	assert_health(200, "ok");
}

static void test_head(void **state)
{
	size_t bytes;

	(void)state;
	assert_int_equal(ask("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n"), 200);
	assert_int_equal(answer.body_bytes, 0);
	bytes = strtoul(header("\r\nContent-Length: "), NULL, 10);
	assert_true(bytes > 1000);
	relay.workers.worker[0].pid = 0;
	assert_int_equal(ask("HEAD /health HTTP/1.1\r\nHost: x\r\n\r\n"), 503);
	assert_int_equal(answer.body_bytes, 0);
	assert_int_equal(ask("HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n"), 404);
}

static void test_not_found(void **state)
{
	static const char *const paths[] = {"/",	  "/metrics/", "/Metrics",	"//metrics",
					    "/health/..", "/metric",   "/../etc/passwd"};

	(void)state;
	for (unsigned i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		assert_int_equal(get(paths[i]), 404);
		assert_string_equal(answer.text + answer.head_bytes,
				    "there are /metrics and /health\n");
	}
}

static void test_method(void **state)
{
	static const char *const requests[] = {
		"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na=b",
		"POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
		"PUT /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"DELETE /health HTTP/1.1\r\nHost: x\r\n\r\n",
		"OPTIONS /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
		"get /metrics HTTP/1.1\r\nHost: x\r\n\r\n",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		assert_int_equal(ask(requests[i]), 405);
		assert_string_equal(header("\r\nAllow: "), "GET, HEAD");
	}
	/* one that announces more than it will ever send is not waited for */
	assert_int_equal(ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nabc"),
			 405);
}

/* It has no meaning, which is no reason not to answer. */
static void test_get_with_body(void **state)
{
	(void)state;
	assert_int_equal(ask("GET /health HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\na=b"),
			 200);
	assert_int_equal(ask("GET /health HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
			     "3\r\na=b\r\n0\r\n\r\n"),
			 200);
}

static void test_several_on_one_connection(void **state)
{
	int fd = connected();

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		assert_true(say(fd, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"));
		assert_int_equal(take_answer(fd, true), 200);
	}
	/* one after the other, sent at once */
	assert_true(say(fd, "HEAD /x HTTP/1.1\r\nHost: x\r\n\r\n"
			    "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
	answer = (struct answer){0};
	while (take_some(fd))
		turn_or(fd, POLLIN);
	assert_non_null(strstr(answer.text, "HTTP/1.1 404 "));
	assert_non_null(strstr(answer.text, "HTTP/1.1 200 "));
	until_clients(0);
	close(fd);
	assert_int_equal(ask("GET /health HTTP/1.0\r\n\r\n"), 200);
}

/* A byte at a time, as a slow network might bring it. */
static void test_in_pieces(void **state)
{
	const char *request = "GET /health HTTP/1.1\r\nHost: x\r\n\r\n";
	int fd = connected();

	(void)state;
	for (; *request; request++) {
		assert_true(say(fd, (char[]){*request, '\0'}));
		turn();
	}
	assert_int_equal(take_answer(fd, true), 200);
	close(fd);
}

/* ------------------------------------------------------------------------- what is too much */

/* Refused with a status of its own, or cut off; the next one is served. */
static void assert_refused(const char *head, size_t fill, const char *tail)
{
	int fd = connected();
	char *request = malloc(strlen(head) + fill + strlen(tail) + 1);
	size_t length, done = 0;
	unsigned status;

	assert_non_null(request);
	length = strlen(head) + fill + strlen(tail);
	memcpy(request, head, strlen(head));
	memset(request + strlen(head), 'x', fill);
	strcpy(request + strlen(head) + fill, tail);
	while (done < length && !is_closed(fd)) {
		ssize_t sent = send(fd, request + done, length - done, MSG_NOSIGNAL);

		if (sent < 0 && errno != EAGAIN)
			break;
		done += sent > 0 ? (size_t)sent : 0;
		turn_or(fd, POLLIN | POLLOUT);
	}
	status = take_answer(fd, true);
	if (status)
		assert_in_range(status, 400, 505);
	close(fd);
	free(request);
	until_clients(0);
	assert_int_equal(get("/health"), 200);
	until_clients(0);
}

static void test_huge(void **state)
{
	(void)state;
	assert_refused("GET /", 1 << 20, " HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_refused("GET /metrics HTTP/1.1\r\nHost: ", 1 << 20, "\r\n\r\n");
	assert_refused("", 1 << 20, " /metrics HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_refused("GET /metrics HTTP/1.1\r\n", HTTP_CLIENT_BYTES, ": x\r\n\r\n");
	assert_refused("GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 0, "");
}

static void test_garbage(void **state)
{
	static const char *const texts[] = {
		"\r\n\r\n\r\n\r\n",    "\x16\x03\x01\x02\x01\x01",	   "GET\r\n\r\n",
		" / HTTP/1.1\r\n\r\n", "GET /health\x01 HTTP/9.9\r\n\r\n", ":\r\n:\r\n:\r\n\r\n",
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const uint64_t before = http.clients.sequence;
		int fd = connected();

		assert_true(say(fd, texts[i]));
		while (http.clients.sequence == before)
			turn();
		turn_or(fd, POLLOUT);
		close(fd);
		until_clients(0);
	}
	assert_int_equal(get("/health"), 200);
}

/* ------------------------------------------------------------------------- who takes too long */

/* While `clients` are at it, for all the time that they have; `say_more` is called in between. */
static void use_up_time(unsigned clients, void (*go_on)(int fd), int fd)
{
	const int64_t end = time_ms + HTTP_PATIENCE_MS;

	while (time_ms < end - 1) {
		time_ms += time_ms + 1000 < end ? 1000 : end - 1 - time_ms;
		go_on(fd);
		turn_or(fd, POLLOUT);
		assert_int_equal(count_clients(), clients);
	}
	time_ms++;
	until_clients(0);
}

static void drip(int fd)
{
	assert_true(say(fd, "x"));
}

/* The end may still be on its way. */
static void assert_closed(int fd)
{
	struct pollfd end = {.fd = fd, .events = POLLIN};

	assert_int_equal(poll(&end, 1, -1), 1);
	assert_true(is_closed(fd));
}

/* Bytes that keep coming do not make more time. */
static void test_slow_request(void **state)
{
	int silent = connected(), dripping = connected();

	(void)state;
	assert_true(say(dripping, "GET /metrics HTTP/1.1\r\nX: "));
	until_clients(2);
	use_up_time(2, drip, dripping);
	assert_closed(silent);
	assert_closed(dripping);
	close(silent);
	close(dripping);
	assert_int_equal(get("/health"), 200);
}

static void test_slow_body(void **state)
{
	int fd = connected();

	(void)state;
	assert_true(say(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"));
	until_clients(1);
	use_up_time(1, drip, fd);
	assert_closed(fd);
	close(fd);
}

/* Between two requests, a client has its time anew. */
static void test_time_of_each_request(void **state)
{
	int fd = connected();

	(void)state;
	until_clients(1);
	for (unsigned i = 0; i < 5; i++) {
		time_ms += HTTP_PATIENCE_MS - 1;
		assert_true(say(fd, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"));
		assert_int_equal(take_answer(fd, true), 200);
	}
	close(fd);
}

static void make_larger(unsigned rules, unsigned outputs)
{
	while (relay.provision.rules.count < rules)
		make_up_rule("many", endpoint("in0", "239.1.1.1", relay.provision.rules.count));
	while (relay.num_outputs < outputs)
		make_up_output(endpoint("out0", "239.1.1.1", relay.num_outputs), 1);
}

static void test_large_page(void **state)
{
	(void)state;
	make_larger(RULES_MAX, OUTPUTS_MAX);
	assert_int_equal(get("/metrics"), 200);
	assert_true(answer.body_bytes > 4 << 20);
}

/* A page that the buffers of neither end hold, once they have been made small. */
static void make_too_large(void)
{
	const int bytes = 4096;

	make_larger(1, 100);
	assert_int_equal(setsockopt(listener(), SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
	assert_int_equal(setsockopt(listener(), SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
}

static int connect_narrow(void)
{
	const int bytes = 4096;
	int fd = connected();

	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	return fd;
}

static void take_a_byte(int fd)
{
	assert_int_equal(recv(fd, (char[1]){0}, 1, 0), 1);
}

/* Nor do bytes that are taken one by one. */
static void test_slow_taker(void **state)
{
	int fd;

	(void)state;
	make_too_large();
	fd = connect_narrow();
	assert_true(say(fd, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
	while (http.clients.sequence < 2) /* came, asked */
		turn();
	turn_or(fd, POLLIN);
	use_up_time(1, take_a_byte, fd);
	close(fd);
}

/* Each that is not taken is kept: there must not be more and more of them. */
static void test_many_takers(void **state)
{
	int fds[HTTP_TAKING_MAX + 8];
	unsigned count = sizeof(fds) / sizeof(fds[0]);

	(void)state;
	make_too_large();
	for (unsigned i = 0; i < count; i++) {
		fds[i] = i < count - 1 ? connect_narrow() : connected();
		assert_true(say(fds[i], "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
		while (http.clients.sequence < 2 * (i + 1)) /* came, asked */
			turn();
		until_clients(i < HTTP_TAKING_MAX ? i + 1 : HTTP_TAKING_MAX);
	}
	assert_int_equal(take_answer(fds[count - 1], true), 200);
	for (unsigned i = 0; i < count; i++)
		close(fds[i]);
}

/* ------------------------------------------------------------------------- who are too many */

static void test_many_connections(void **state)
{
	int fds[300];
	unsigned closed;

	(void)state;
	for (unsigned i = 0; i < 300; i++) {
		fds[i] = connected();
		say(fds[i], i % 2 ? "GET /metrics HTTP/1.1\r\nX: x" : "");
		if (i % 50 == 0)
			assert_int_equal(get("/health"), 200);
	}
	assert_int_equal(get("/health"), 200);
	assert_int_equal(get("/metrics"), 200);
	while (count_clients() > HTTP_ASKING_MAX)
		turn();
	/* no more had to go than made room for the others and those that were served */
	assert_true(count_clients() >= HTTP_ASKING_MAX - 8);
	do {
		closed = 0;
		for (unsigned i = 0; i < 300; i++)
			closed += is_closed(fds[i]);
	} while (closed < 300 - count_clients()); /* the last end may still be on its way */
	for (unsigned i = 0; i < 300; i++)
		close(fds[i]);
	until_clients(0);
}

static void test_other_hosts_connection(void **state)
{
	int theirs = connect_from("127.0.0.2"), fds[HTTP_ASKING_MAX + 50];

	(void)state;
	for (unsigned i = 0; i < HTTP_ASKING_MAX + 50; i++) {
		fds[i] = connected();
		turn();
	}
	until_clients(HTTP_ASKING_MAX);
	assert_true(say(theirs, "GET /health HTTP/1.1\r\nHost: x\r\n\r\n"));
	assert_int_equal(take_answer(theirs, true), 200);
	for (unsigned i = 0; i < HTTP_ASKING_MAX + 50; i++)
		close(fds[i]);
	close(theirs);
}

/* Without descriptors for more connections, those that are there go on. */
static void test_no_descriptors(void **state)
{
	struct rlimit limit, none;
	int fd, late;

	(void)state;
	fd = connected();
	until_clients(1);
	late = connected();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){.rlim_cur = 3, .rlim_max = limit.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	http_handle(&http);
	http_handle(&http);
	assert_int_equal(count_clients(), 1);
	assert_true(say(fd, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n"));
	assert_int_equal(take_answer(fd, true), 404);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	close(fd);
	until_clients(0);
	http_handle(&http); /* as at the next tick of the health, at the latest */
	assert_true(say(late, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n"));
	assert_int_equal(take_answer(late, true), 404);
	close(late);
}

/* ------------------------------------------------------------------------- addresses */

static void test_none(void **state)
{
	const union address none = {.any.sa_family = AF_UNSPEC};

	(void)state;
	http_close(&http);
	assert_int_equal(http_open(&http, &none, &relay.reporter, &relay.health), 0);
	assert_int_equal(http_poll(&http).fd, -1);
	assert_int_equal(http_due_ms(&http), -1);
	http_handle(&http);
}

static void test_in_use(void **state)
{
	struct http second;

	(void)state;
	assert_int_equal(http_open(&second, &address, &relay.reporter, &relay.health), -EADDRINUSE);
	assert_int_equal(http_poll(&second).fd, -1);
	http_close(&second);
	assert_int_equal(get("/health"), 200);
	/* a connection that is closed does not keep the address */
	http_close(&http);
	assert_int_equal(http_open(&http, &address, &relay.reporter, &relay.health), 0);
	assert_int_equal(get("/health"), 200);
}

static void test_not_ours(void **state)
{
	(void)state;
	http_close(&http);
	assert_int_equal(open_server("192.0.2.1"), -EADDRNOTAVAIL);
}

static void test_ipv6(void **state)
{
	(void)state;
	http_close(&http);
	if (open_server("[::1]") < 0)
		skip();
	assert_int_equal(get("/health"), 200);
}

static void test_both_families(void **state)
{
	in_port_t port;

	(void)state;
	http_close(&http);
	if (open_server("[::]") < 0)
		skip();
	assert_int_equal(get("/health"), 200);
	port = address.v6.sin6_port;
	address = (union address){.v4 = {.sin_family = AF_INET,
					 .sin_port = port,
					 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}};
	assert_int_equal(get("/health"), 200);
}

/* Ports are nobody else's; where it may not be, the test uses the host's. */
static int enter(void **state)
{
	(void)state;
	own_network_enter();
	return 0;
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_metrics),
		TEST(test_health),
		TEST(test_head),
		TEST(test_not_found),
		TEST(test_method),
		TEST(test_get_with_body),
		TEST(test_several_on_one_connection),
		TEST(test_in_pieces),
		TEST(test_huge),
		TEST(test_garbage),
		TEST(test_slow_request),
		TEST(test_slow_body),
		TEST(test_time_of_each_request),
		TEST(test_large_page),
		TEST(test_slow_taker),
		TEST(test_many_takers),
		TEST(test_many_connections),
		TEST(test_other_hosts_connection),
		TEST(test_no_descriptors),
		TEST(test_none),
		TEST(test_in_use),
		TEST(test_not_ours),
		TEST(test_ipv6),
		TEST(test_both_families),
	};

	return cmocka_run_group_tests_name("http", tests, enter, NULL);
}

// SPDX-License-Identifier: MIT
/*
 * control: a control socket in a temporary folder, and its clients, all in one thread: turn() is
 * one turn of the supervisor's loop. What the socket answers is made up here, and so is the time:
 * it stands still until a test moves it. What one end has sent is there for the other at once, so
 * nothing is waited for.
 */
#include "control/control.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#define PING  "{\"command\":\"ping\"}\n"
#define LARGE "{\"command\":\"large\"}\n"

enum { SOCKET_BYTES = 65536, LARGE_BYTES = 1 << 20 };

static char folder[] = "/tmp/test_control.XXXXXX", path[sizeof(folder) + 2];
static struct control control;
static unsigned answered;
static int64_t time_ms;
static bool narrowed[CONTROL_CLIENTS_MAX];

/* ------------------------------------------------------------------------- both ends */

static int64_t clock_ms(void)
{
	return time_ms;
}

/* Of the type control_answer: numbers its answers, and repeats the request in them. */
static json_t *answer(void *context, const struct ucred *peer, json_t *request)
{
	const char *command = json_string_value(json_object_get(request, "command"));
	json_t *text;
	char *large;

	assert_ptr_equal(context, folder);
	assert_int_equal(peer->pid, getpid());
	assert_int_equal(peer->uid, getuid());
	assert_true(json_is_object(request));
	answered++;
	if (command && strcmp(command, "nothing") == 0)
		return NULL; /* as when out of memory */
	if (!command || strcmp(command, "large") != 0)
		return json_pack("{s:b, s:i, s:O}", "ok", 1, "number", (int)answered, "request",
				 request);
	large = malloc(LARGE_BYTES);
	assert_non_null(large);
	memset(large, 'x', LARGE_BYTES);
	text = json_stringn(large, LARGE_BYTES);
	free(large);
	return json_pack("{s:b, s:o}", "ok", 1, "large", text);
}

static int open_control(const char *where, gid_t gid)
{
	int rc = control_open(&control, where, gid, answer, folder);

	control.clock_ms = clock_ms;
	return rc;
}

static unsigned clients(void)
{
	unsigned count = 0;

	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++)
		count += control.clients[i].fd >= 0;
	return count;
}

/* Sockets of new clients hold no large answer, whatever the host's net.core.wmem_default. */
static void narrow(void)
{
	const int bytes = SOCKET_BYTES;

	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		const int fd = control.clients[i].fd;

		if (fd >= 0 && !narrowed[i])
			assert_int_equal(
				setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)), 0);
		narrowed[i] = fd >= 0;
	}
}

/* False if there was nothing to do. */
static bool turn(void)
{
	static struct pollfd fds[CONTROL_CLIENTS_MAX + 1];
	unsigned count = control_poll(&control, fds);
	int ready;

	assert_in_range(count, 1, CONTROL_CLIENTS_MAX + 1);
	ready = poll(fds, count, 0);
	assert_true(ready >= 0);
	control_handle(&control, fds);
	narrow();
	return ready > 0;
}

static void turns(unsigned count)
{
	while (count--)
		turn();
}

static int connect_to(const char *where, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	strcpy(address.sun_path, where);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static int connected(void)
{
	return connect_to(path, SOCK_STREAM);
}

static void say_bytes(int fd, const char *text, size_t length)
{
	assert_int_equal(send(fd, text, length, MSG_NOSIGNAL), length);
}

static void say(int fd, const char *text)
{
	say_bytes(fd, text, strlen(text));
}

/* What has come of the next line, up to its end, behind what is in *line: 1 if it is whole, 0 if
 * there is more of it, -EAGAIN if that has not come yet. */
static int receive_some(int fd, char **line, size_t *length)
{
	static char part[65536];
	char *end;
	ssize_t got = recv(fd, part, sizeof(part), MSG_PEEK);

	if (got < 0) {
		assert_int_equal(errno, EAGAIN);
		return -EAGAIN;
	}
	assert_true(got > 0); /* else it was closed */
	end = memchr(part, '\n', (size_t)got);
	if (end)
		got = end + 1 - part;
	assert_int_equal(recv(fd, part, (size_t)got, 0), got);
	*line = realloc(*line, *length + (size_t)got);
	assert_non_null(*line);
	memcpy(*line + *length, part, (size_t)got);
	*length += (size_t)got;
	return end != NULL;
}

/* The next answer: one line, one object, that says whether it is ok. */
static json_t *next_answer(int fd)
{
	char *line = NULL;
	size_t length = 0;
	json_t *object;
	int rc;

	while ((rc = receive_some(fd, &line, &length)) <= 0)
		if (rc < 0)
			assert_true(turn()); /* else it will never come */
	object = json_loadb(line, length - 1, JSON_REJECT_DUPLICATES, NULL);
	assert_true(json_is_object(object));
	assert_true(json_is_boolean(json_object_get(object, "ok")));
	free(line);
	return object;
}

static void assert_no_answer(int fd)
{
	turns(3);
	assert_int_equal(recv(fd, (char[1]){0}, 1, MSG_PEEK), -1);
	assert_int_equal(errno, EAGAIN);
}

/* Returns its number. */
static int assert_ok(int fd)
{
	json_t *object = next_answer(fd);
	int number = (int)json_integer_value(json_object_get(object, "number"));

	assert_true(json_is_true(json_object_get(object, "ok")));
	json_decref(object);
	return number;
}

static void assert_large(int fd)
{
	json_t *object = next_answer(fd);

	assert_int_equal(json_string_length(json_object_get(object, "large")), LARGE_BYTES);
	json_decref(object);
}

static void assert_error(int fd, const char *part)
{
	json_t *object = next_answer(fd);
	const char *text = json_string_value(json_object_get(object, "error"));

	assert_true(json_is_false(json_object_get(object, "ok")));
	assert_non_null(text);
	if (!strstr(text, part))
		fail_msg("'%s' not in '%s'", part, text);
	json_decref(object);
}

/* After what was sent before, if any. */
static void assert_closed(int fd)
{
	static char rest[65536];
	ssize_t got;
	bool busy;

	do {
		busy = turn();
		got = recv(fd, rest, sizeof(rest), 0);
	} while (got > 0 || (got < 0 && errno == EAGAIN && busy));
	assert_true(got == 0 || errno == ECONNRESET);
}

static int setup(void **state)
{
	(void)state;
	answered = 0;
	time_ms = 1000000;
	memset(narrowed, 0, sizeof(narrowed));
	strcpy(folder + sizeof(folder) - 7, "XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/s", folder);
	return open_control(path, (gid_t)-1);
}

static int teardown(void **state)
{
	(void)state;
	control_close(&control);
	unlink(path);
	return rmdir(folder); /* nothing else is left there */
}

/* ------------------------------------------------------------------------- the socket */

static void assert_mode(mode_t mode)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	assert_true(S_ISSOCK(status.st_mode));
	assert_int_equal(status.st_mode & 07777, mode);
}

static void test_mode(void **state)
{
	mode_t before;

	(void)state;
	assert_mode(0600);
	control_close(&control);
	before = umask(0);
	assert_int_equal(open_control(path, (gid_t)-1), 0);
	assert_int_equal(umask(before), 0); /* it has been put back */
	assert_mode(0600);
}

static void test_group(void **state)
{
	struct stat status;
	gid_t group = geteuid() == 0 ? 4321 : getegid();

	(void)state;
	control_close(&control);
	assert_int_equal(open_control(path, group), 0);
	assert_mode(0660);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_gid, group);
	assert_int_equal(status.st_uid, geteuid());
}

static void test_close(void **state)
{
	int fd = connected();

	(void)state;
	turn();
	assert_int_equal(clients(), 1);
	control_close(&control);
	assert_int_equal(clients(), 0);
	assert_int_equal(recv(fd, (char[1]){0}, 1, 0), 0);
	assert_int_equal(access(path, F_OK), -1);
	control_close(&control); /* harmless */
	close(fd);
}

static void test_no_socket(void **state)
{
	struct pollfd fds[CONTROL_CLIENTS_MAX + 1];

	(void)state;
	control_close(&control);
	assert_int_equal(open_control(NULL, (gid_t)-1), 0);
	assert_int_equal(control_poll(&control, fds), 0);
	assert_int_equal(control_due_ms(&control), -1);
	control_close(&control);
}

/* A socket of `type` at `where`, on which nobody listens. */
static int bound(const char *where, int type)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, where);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void test_stale_socket(void **state)
{
	int fd;

	(void)state;
	control_close(&control);
	close(bound(path, SOCK_STREAM)); /* by a process that died */
	assert_int_equal(open_control(path, (gid_t)-1), 0);
	assert_mode(0600);
	fd = connected();
	say(fd, PING);
	assert_ok(fd);
	close(fd);
}

/* Must be refused with `rc`, leave a file of that kind behind, and no descriptor open. */
static void assert_not_opened(const char *where, int rc, mode_t kind)
{
	struct control other;
	struct stat status;
	int lowest = dup(STDERR_FILENO), then;

	close(lowest);
	assert_int_equal(control_open(&other, where, (gid_t)-1, answer, folder), rc);
	assert_int_equal(other.listener.fd, -1);
	control_close(&other); /* harmless */
	then = dup(STDERR_FILENO);
	close(then);
	assert_int_equal(then, lowest);
	if (!kind)
		return;
	assert_int_equal(lstat(where, &status), 0);
	assert_int_equal(status.st_mode & S_IFMT, kind);
}

static void test_live_socket(void **state)
{
	int fd;

	(void)state;
	assert_not_opened(path, -EADDRINUSE, S_IFSOCK);
	fd = connected(); /* unharmed */
	say(fd, PING);
	assert_ok(fd);
	close(fd);
}

/* One that is alive, but so busy that connect(2) would wait. */
static void test_busy_socket(void **state)
{
	int listener, fds[3], count = 0;

	(void)state;
	control_close(&control);
	listener = bound(path, SOCK_STREAM);
	assert_int_equal(listen(listener, 0), 0);
	fds[count++] = connected();
	assert_not_opened(path, -EADDRINUSE, S_IFSOCK);
	assert_not_opened(path, -EADDRINUSE, S_IFSOCK);
	while (count--)
		close(fds[count]);
	close(listener);
}

/* Another kind of socket belongs to another kind of program. */
static void test_foreign_socket(void **state)
{
	int fd;

	(void)state;
	control_close(&control);
	fd = bound(path, SOCK_DGRAM);
	assert_not_opened(path, -EPROTOTYPE, S_IFSOCK);
	close(fd);
}

static void test_no_socket_at_all(void **state)
{
	char text[8] = "";
	int fd;

	(void)state;
	control_close(&control);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
	assert_int_equal(write(fd, "data", 4), 4);
	assert_not_opened(path, -EEXIST, S_IFREG);
	assert_int_equal(pread(fd, text, sizeof(text), 0), 4);
	close(fd);
	unlink(path);
	assert_int_equal(symlink("/tmp/no/such/file", path), 0);
	assert_not_opened(path, -EEXIST, S_IFLNK);
	unlink(path);
	assert_not_opened(folder, -EEXIST, S_IFDIR);
	assert_not_opened("/tmp/no/such/folder/s", -ENOENT, 0);
}

static void test_path_length(void **state)
{
	enum { ROOM = sizeof(((struct sockaddr_un *)0)->sun_path) };
	char where[ROOM + 1];

	(void)state;
	memset(where, 'x', sizeof(where));
	memcpy(where, path, strlen(path));
	where[ROOM] = '\0';
	assert_not_opened(where, -ENAMETOOLONG, 0);
	where[ROOM - 1] = '\0';
	control_close(&control);
	assert_int_equal(open_control(where, (gid_t)-1), 0);
	close(connect_to(where, SOCK_STREAM));
	control_close(&control);
	assert_int_equal(access(where, F_OK), -1);
}

/* ------------------------------------------------------------------------- requests */

static void test_one_request(void **state)
{
	json_t *object, *request;
	int fd = connected();

	(void)state;
	say(fd, PING);
	object = next_answer(fd);
	request = json_object_get(object, "request");
	assert_string_equal(json_string_value(json_object_get(request, "command")), "ping");
	json_decref(object);
	assert_no_answer(fd);
	assert_int_equal(answered, 1);
	close(fd);
	turns(2);
	assert_int_equal(clients(), 0);
}

static void test_one_after_the_other(void **state)
{
	int fd = connected();

	(void)state;
	for (int i = 1; i <= 100; i++) {
		say(fd, PING);
		assert_int_equal(assert_ok(fd), i);
	}
	assert_int_equal(clients(), 1);
	close(fd);
}

static void test_several_in_one_write(void **state)
{
	int fd = connected();

	(void)state;
	say(fd, PING "7\n" PING PING "{\"command\":");
	assert_int_equal(assert_ok(fd), 1);
	assert_error(fd, "not valid JSON");
	assert_int_equal(assert_ok(fd), 2);
	assert_int_equal(assert_ok(fd), 3);
	assert_no_answer(fd);
	say(fd, "\"ping\"}\n{");
	assert_int_equal(assert_ok(fd), 4);
	say(fd, "}\n");
	assert_int_equal(assert_ok(fd), 5);
	close(fd);
}

static void test_byte_by_byte(void **state)
{
	static const char text[] = PING;
	int fd = connected();

	(void)state;
	for (size_t i = 0; i < strlen(text); i++) {
		assert_no_answer(fd);
		say_bytes(fd, text + i, 1);
	}
	assert_int_equal(assert_ok(fd), 1);
	close(fd);
}

/* Every way to cut three requests in two, an unfinished one behind them. */
static void test_cut_anywhere(void **state)
{
	static const char text[] = PING "{}\n" PING "{";

	(void)state;
	for (size_t cut = 0; cut <= strlen(text); cut++) {
		int fd = connected();

		answered = 0;
		if (cut)
			say_bytes(fd, text, cut);
		turns(3);
		say(fd, text + cut);
		for (int i = 1; i <= 3; i++)
			assert_int_equal(assert_ok(fd), i);
		assert_no_answer(fd);
		close(fd);
	}
}

/* poll(2) may say that there is something to read where there is nothing. */
static void test_nothing_to_read(void **state)
{
	struct pollfd fds[CONTROL_CLIENTS_MAX + 1];
	int fd = connected();
	unsigned count;

	(void)state;
	turns(2);
	count = control_poll(&control, fds);
	for (unsigned i = 0; i < count; i++)
		fds[i].revents = POLLIN;
	control_handle(&control, fds);
	assert_int_equal(clients(), 1);
	say(fd, PING);
	assert_int_equal(assert_ok(fd), 1);
	close(fd);
}

/* What was asked for before the client has shut its side is still answered. */
static void test_half_closed(void **state)
{
	int fd = connected();

	(void)state;
	say(fd, PING LARGE PING "{\"unfinished\"");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_int_equal(assert_ok(fd), 1);
	assert_large(fd);
	assert_int_equal(assert_ok(fd), 3);
	assert_closed(fd);
	assert_int_equal(answered, 3);
	close(fd);
}

/* The last request may end where the client ends; blanks and an empty line are none. */
static void test_end_without_a_newline(void **state)
{
	static const struct {
		const char *text;
		int answers;
	} said[] = {
		{"{\"command\":\"ping\"}", 1},
		{PING "{\"command\":\"ping\"}", 2},
		{PING "{\"command\":\"ping\"}\r", 2},
		{LARGE PING "{\"command\":\"ping\"}", 3},
		{PING, 1},
		{PING " \t\r", 1},
		{"", 0},
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		int fd = connected();

		answered = 0;
		if (said[i].text[0])
			say(fd, said[i].text);
		assert_int_equal(shutdown(fd, SHUT_WR), 0);
		for (int j = 0; j < said[i].answers; j++) {
			json_t *object = next_answer(fd);

			assert_true(json_is_true(json_object_get(object, "ok")));
			json_decref(object);
		}
		assert_closed(fd);
		assert_int_equal(answered, said[i].answers);
		assert_int_equal(clients(), 0);
		close(fd);
	}
}

/* Half a request at the end is refused, not forgotten. */
static void test_end_in_a_request(void **state)
{
	int fd = connected();

	(void)state;
	say(fd, PING "{\"command\"");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	assert_int_equal(assert_ok(fd), 1);
	assert_error(fd, "not valid JSON");
	assert_closed(fd);
	assert_int_equal(answered, 1);
	close(fd);
}

/* {"x":"aaa..."}\n, of that many bytes in all. */
static char *request_of(size_t bytes)
{
	char *text = malloc(bytes);

	assert_non_null(text);
	memset(text, 'a', bytes);
	memcpy(text, "{\"x\":\"", 6);
	memcpy(text + bytes - 3, "\"}\n", 3);
	return text;
}

static void test_longest_request(void **state)
{
	char *text = request_of(CONTROL_REQUEST_BYTES);
	int fd = connected();

	(void)state;
	for (int i = 1; i <= 2; i++) {
		say_bytes(fd, text, CONTROL_REQUEST_BYTES);
		assert_int_equal(assert_ok(fd), i);
	}
	say_bytes(fd, text, 100); /* in two parts */
	turns(3);
	say_bytes(fd, text + 100, CONTROL_REQUEST_BYTES - 100);
	assert_int_equal(assert_ok(fd), 3);
	say_bytes(fd, PING, strlen(PING)); /* behind another one */
	say_bytes(fd, text, CONTROL_REQUEST_BYTES);
	assert_int_equal(assert_ok(fd), 4);
	assert_int_equal(assert_ok(fd), 5);
	close(fd);
	free(text);
}

static void test_too_long_request(void **state)
{
	static const size_t over[] = {1, 2, 70000};

	(void)state;
	for (unsigned i = 0; i < sizeof(over) / sizeof(over[0]); i++) {
		const size_t bytes = CONTROL_REQUEST_BYTES + over[i];
		char *text = request_of(bytes);
		int fd = connected();

		say_bytes(fd, text, bytes);
		assert_error(fd, "the request is longer than 65536 bytes");
		assert_closed(fd);
		assert_int_equal(clients(), 0);
		close(fd);
		free(text);
	}
	assert_int_equal(answered, 0);
}

struct bytes {
	const char *text;
	size_t length;
	const char *part; /* of the answer */
};

#define BYTES(text, part)                    \
	{                                    \
		text, sizeof(text) - 1, part \
	}

static const struct bytes malformed[] = {
	BYTES("\n", "not valid JSON at column 0: '[' or '{' expected near end of file"),
	BYTES(" \n", "not valid JSON"),
	BYTES("\r\n", "not valid JSON"),
	BYTES("ping\n", "not valid JSON at column 4: '[' or '{' expected near 'ping'"),
	BYTES("7\n", "not valid JSON"),
	BYTES("\"ping\"\n", "not valid JSON"),
	BYTES("null\n", "not valid JSON"),
	BYTES("[]\n", "found an array, expected an object with the key command"),
	BYTES("[{\"command\":\"ping\"}]\n", "found an array"),
	BYTES("{\n", "not valid JSON"),
	BYTES("}\n", "not valid JSON"),
	BYTES("{\"command\":\"ping\"\n", "not valid JSON"),
	BYTES("{\"command\":\"ping\"}}\n", "end of file expected near '}'"),
	BYTES("{} {}\n", "end of file expected near '{'"),
	BYTES("{\"a\":1,\"a\":2}\n", "duplicate object key near '\"a\"'"),
	BYTES("{\"a\":1,}\n", "not valid JSON"),
	BYTES("{'a':1}\n", "not valid JSON"),
	BYTES("{\"a\":\"\xff\"}\n", "unable to decode byte 0xff"),
	BYTES("{\"a\":\"\xc3\"}\n", "unable to decode byte 0xc3"),
	BYTES("{\"a\":\"\xed\xa0\x80\"}\n", "unable to decode byte 0xed"),
	BYTES("\xff\xfe\n", "unable to decode byte 0xff"),
	BYTES("{\"a\":\"\\ud800\"}\n", "not valid JSON"),
	BYTES("{\"a\":\"\\u0000\"}\n", "\\u0000 is not allowed"),
	BYTES("{\"\\u0000\":1}\n", "not valid JSON"),
	BYTES("\0\n", "not valid JSON"),
	BYTES("{\"command\":\0\"ping\"}\n", "not valid JSON"),
	BYTES("{\"command\":\"ping\"}\0\n", "not valid JSON"),
	BYTES("{\"a\":\"\0\"}\n", "control character 0x0"),
	BYTES("{\"a\":\"\x1b\"}\n", "control character 0x1b"),
	BYTES("{\"a\":1e999}\n", "real number overflow"),
	BYTES("{\"a\":99999999999999999999}\n", "too big integer"),
	BYTES("\xef\xbb\xbf{}\n", "not valid JSON"),
};

enum { MALFORMED = sizeof(malformed) / sizeof(malformed[0]) };

static void test_malformed(void **state)
{
	int fd = connected();

	(void)state;
	for (unsigned i = 0; i < MALFORMED; i++) {
		say_bytes(fd, malformed[i].text, malformed[i].length);
		assert_error(fd, malformed[i].part);
	}
	assert_int_equal(answered, 0);
	say(fd, PING); /* none of it has done any harm */
	assert_int_equal(assert_ok(fd), 1);
	close(fd);
}

static void test_deep_nesting(void **state)
{
	enum { DEPTH = 60000 };
	char *text = malloc(DEPTH + 1);
	int fd = connected();

	(void)state;
	assert_non_null(text);
	memset(text, '[', DEPTH);
	text[DEPTH] = '\n';
	say_bytes(fd, text, DEPTH + 1);
	assert_error(fd, "maximum parsing depth reached");
	for (int i = 0; i < DEPTH; i += 5)
		memcpy(text + i, "{\"a\":", 5);
	say_bytes(fd, text, DEPTH + 1);
	assert_error(fd, "maximum parsing depth reached");
	close(fd);
	free(text);
}

/* Bytes in use: as the sanitizers count them, else as malloc does. */
size_t __sanitizer_get_current_allocated_bytes(void) __attribute__((weak));

static size_t memory_in_use(void)
{
	if (__sanitizer_get_current_allocated_bytes)
		return __sanitizer_get_current_allocated_bytes();
	return mallinfo2().uordblks;
}

static void send_malformed(unsigned count)
{
	int fd = -1;

	for (unsigned i = 0; i < count; i++) {
		if (i % 10 == 0)
			fd = connected();
		say_bytes(fd, malformed[i % MALFORMED].text, malformed[i % MALFORMED].length);
		assert_error(fd, "");
		if (i % 10 == 9)
			close(fd); /* at times before it has been noticed that it has read all */
	}
	turns(3);
	assert_int_equal(clients(), 0);
}

static void test_memory_stays_flat(void **state)
{
	size_t before;

	(void)state;
	send_malformed(1000);
	before = memory_in_use();
	send_malformed(10000);
	assert_in_range(memory_in_use(), 0, before + 4096);
}

/* ------------------------------------------------------------------------- answers */

static void test_large_answers(void **state)
{
	int fd = connected();

	(void)state;
	say(fd, LARGE PING LARGE LARGE PING);
	assert_large(fd);
	assert_int_equal(assert_ok(fd), 2);
	assert_large(fd);
	assert_large(fd);
	assert_int_equal(assert_ok(fd), 5);
	close(fd);
}

/* While an answer is not taken, no further request of that client is looked at. */
static void test_answer_not_taken(void **state)
{
	int fd = connected(), other = connected();

	(void)state;
	say(fd, LARGE PING);
	turns(5);
	assert_int_equal(answered, 1);
	say(fd, PING);
	say(other, PING);
	assert_int_equal(assert_ok(other), 2);
	assert_large(fd);
	assert_int_equal(assert_ok(fd), 3);
	assert_int_equal(assert_ok(fd), 4);
	close(fd);
	close(other);
}

static void test_gone_before_the_answer(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		int fd = connected();

		say(fd, i ? LARGE PING : PING);
		if (i == 2) {
			turns(3);
			assert_non_null(control.clients[0].output); /* in the middle of it */
		}
		close(fd);
		turns(3);
		assert_int_equal(clients(), 0);
	}
}

static void test_no_answer_to_give(void **state)
{
	int fd = connected();

	(void)state;
	say(fd, "{\"command\":\"nothing\"}\n" PING);
	assert_closed(fd);
	assert_int_equal(answered, 1);
	assert_int_equal(clients(), 0);
	close(fd);
}

static void test_error_texts(void **state)
{
	json_t *error = control_error("no rule \"%s\"", "a\x1b\"b");
	char longest[2000];

	(void)state;
	assert_true(json_is_false(json_object_get(error, "ok")));
	assert_string_equal(json_string_value(json_object_get(error, "error")),
			    "no rule \"a\x1b\"b\"");
	json_decref(error);
	error = control_error("no rule %.2s", "a\xc3\xa9"); /* cut inside a character */
	assert_string_equal(json_string_value(json_object_get(error, "error")), "invalid request");
	json_decref(error);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	error = control_error("%s", longest);
	assert_in_range(json_string_length(json_object_get(error, "error")), 500, 1999);
	json_decref(error);
}

/* ------------------------------------------------------------------------- many clients */

static void test_more_clients_than_places(void **state)
{
	enum { MORE = 200, ALL = CONTROL_CLIENTS_MAX + MORE };
	struct pollfd fds[CONTROL_CLIENTS_MAX + 1];
	int client[ALL];

	(void)state;
	for (unsigned i = 0; i < ALL; i++) {
		client[i] = connected();
		turn();
		if (i >= CONTROL_CLIENTS_MAX)
			say(client[i], PING);
	}
	assert_int_equal(clients(), CONTROL_CLIENTS_MAX);
	turns(5);
	assert_int_equal(answered, 0);
	control_poll(&control, fds);
	assert_true(fds[0].fd < 0); /* else poll(2) would return at once, for nothing */
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		say(client[i], PING);
		assert_ok(client[i]);
	}
	for (unsigned i = 0; i < ALL; i++) { /* each that leaves makes room for one that waits */
		if (i >= CONTROL_CLIENTS_MAX)
			assert_ok(client[i]);
		close(client[i]);
	}
	turns(3);
	assert_int_equal(answered, ALL);
	assert_int_equal(clients(), 0);
}

static void test_many_at_once(void **state)
{
	int client[CONTROL_CLIENTS_MAX];

	(void)state;
	for (unsigned i = 0; i < CONTROL_CLIENTS_MAX; i++) {
		client[i] = connected();
		say(client[i], PING PING);
	}
	for (unsigned i = CONTROL_CLIENTS_MAX; i-- > 0;) {
		assert_ok(client[i]);
		assert_ok(client[i]);
		assert_no_answer(client[i]);
		close(client[i]);
	}
	assert_int_equal(answered, 2 * CONTROL_CLIENTS_MAX);
}

/* ------------------------------------------------------------------------- the clock */

/* All that wait in vain, at once: one that takes no answer, one that takes it too slowly, one with
 * half a request, one that sends too slowly, one without any, one behind a good request. Each is
 * closed when its time is over, not before. A client that behaves is served all the while. */
static void test_deadlines(void **state)
{
	enum { DEAF, SLOW_READER, HALF, SLOW_WRITER, SILENT, DONE, WAITING };
	const int64_t deadline = time_ms + CONTROL_PATIENCE_MS;
	int client[WAITING], good = connected();
	char part[8192];

	(void)state;
	for (unsigned i = 0; i < WAITING; i++)
		client[i] = connected();
	say(client[DEAF], LARGE PING);
	say(client[SLOW_READER], LARGE PING);
	say(client[HALF], "{\"command\":");
	say(client[DONE], "{}\n");
	assert_ok(client[DONE]);
	turns(3);
	assert_int_equal(control_due_ms(&control), CONTROL_PATIENCE_MS + 1);
	for (; time_ms <= deadline; time_ms += 50) {
		/* so much that more of it is sent now and then, too little to have it all in time
		 */
		assert_true(recv(client[SLOW_READER], part, sizeof(part), 0) > 0);
		say(client[SLOW_WRITER], " ");
		say(good, PING);
		assert_ok(good);
		assert_int_equal(clients(), WAITING + 1);
		assert_int_equal(control_due_ms(&control), deadline - time_ms + 1);
	}
	time_ms = deadline + 1;
	say(good, PING);
	assert_ok(good);
	assert_int_equal(clients(), 1);
	for (unsigned i = 0; i < WAITING; i++) {
		assert_closed(client[i]);
		close(client[i]);
	}
	say(good, PING);
	assert_ok(good);
	close(good);
	turns(3);
	assert_int_equal(control_due_ms(&control), -1);
}

/* Each step of a client has its time anew: the first byte of a request, the answer, its end. */
static void test_time_of_each_step(void **state)
{
	int fd = connected();

	(void)state;
	turn();
	for (unsigned i = 0; i < 3; i++) {
		time_ms += CONTROL_PATIENCE_MS;
		say(fd, "{\"command\":");
		turn();
		time_ms += CONTROL_PATIENCE_MS;
		say(fd, "\"large\"}\n");
		turn();
		time_ms += CONTROL_PATIENCE_MS;
		assert_large(fd);
	}
	time_ms += CONTROL_PATIENCE_MS;
	turn();
	assert_int_equal(clients(), 1);
	time_ms++;
	turn();
	assert_int_equal(clients(), 0);
	close(fd);
}

/* The loop of the supervisor sleeps as long as control_due_ms says: it must neither miss the time
 * nor turn and turn. */
static void test_sleeps_until_due(void **state)
{
	int fd = connected();

	(void)state;
	turn();
	time_ms += control_due_ms(&control) - 1;
	turn();
	assert_int_equal(clients(), 1);
	assert_int_equal(control_due_ms(&control), 1);
	time_ms += 1;
	turn();
	assert_int_equal(clients(), 0);
	assert_int_equal(control_due_ms(&control), -1);
	close(fd);
}

/* A client for whom there is no descriptor waits: the socket, which stays readable, is not polled
 * for until there may be one. Those that are there are served meanwhile. */
static void test_no_descriptors(void **state)
{
	enum { LIMIT = CONTROL_CLIENTS_MAX + 64 }; /* no lower than what poll(2) is asked for */
	struct pollfd fds[CONTROL_CLIENTS_MAX + 1];
	int good = connected(), late, used[LIMIT], count = 0;
	struct rlimit before, few;

	(void)state;
	turn();
	late = connected();
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){LIMIT, before.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	while ((used[count] = dup(STDERR_FILENO)) >= 0)
		count++;
	for (unsigned i = 0; i < 3; i++) {
		turn();
		assert_int_equal(clients(), 1);
		control_poll(&control, fds);
		assert_int_equal(fds[0].fd, -1);
		assert_int_equal(control_due_ms(&control), 100);
		say(good, PING);
		assert_ok(good);
		time_ms += 99;
		control_poll(&control, fds);
		assert_int_equal(fds[0].fd, -1);
		assert_int_equal(control_due_ms(&control), 1);
		time_ms += 1;
	}
	while (count--)
		close(used[count]);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	say(late, PING);
	assert_ok(late);
	close(good);
	close(late);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_mode),
		TEST(test_group),
		TEST(test_close),
		TEST(test_no_socket),
		TEST(test_stale_socket),
		TEST(test_live_socket),
		TEST(test_busy_socket),
		TEST(test_foreign_socket),
		TEST(test_no_socket_at_all),
		TEST(test_path_length),
		TEST(test_one_request),
		TEST(test_one_after_the_other),
		TEST(test_several_in_one_write),
		TEST(test_byte_by_byte),
		TEST(test_cut_anywhere),
		TEST(test_nothing_to_read),
		TEST(test_half_closed),
		TEST(test_end_without_a_newline),
		TEST(test_end_in_a_request),
		TEST(test_longest_request),
		TEST(test_too_long_request),
		TEST(test_malformed),
		TEST(test_deep_nesting),
		TEST(test_memory_stays_flat),
		TEST(test_large_answers),
		TEST(test_answer_not_taken),
		TEST(test_gone_before_the_answer),
		TEST(test_no_answer_to_give),
		TEST(test_error_texts),
		TEST(test_more_clients_than_places),
		TEST(test_many_at_once),
		TEST(test_deadlines),
		TEST(test_time_of_each_step),
		TEST(test_sleeps_until_due),
		TEST(test_no_descriptors),
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}

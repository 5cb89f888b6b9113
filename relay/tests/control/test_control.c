// SPDX-License-Identifier: MIT
/* control: requests, in any pieces and of any kind, and their answers. */
#include "control_fixture.h"

#include <malloc.h>

/* ------------------------------------------------------------------------- requests */

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

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
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
	};

	return cmocka_run_group_tests_name("control", tests, NULL, NULL);
}

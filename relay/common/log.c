// SPDX-License-Identifier: MIT
/* log: see log.h. Each line is one write(2), so that lines of several processes and threads stay
 * whole; to a pipe it is all or nothing, as no line is longer than PIPE_BUF. */
#include "common/log.h"
#include "common/clock.h"
#include "common/printable.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

enum { TEXT_BYTES = 1024, LINE_BYTES = 2 * TEXT_BYTES + 128 };
_Static_assert(LINE_BYTES <= PIPE_BUF, "a line is written whole");

static const char *const level_name[LEVEL_COUNT] = {
#define LEVEL_NAME(name) #name,
	LOG_LEVELS(LEVEL_NAME)
#undef LEVEL_NAME
};

static const char *const facility_name[FACILITY_COUNT] = {
#define FACILITY_NAME(name) #name,
	LOG_FACILITIES(FACILITY_NAME)
#undef FACILITY_NAME
};

/* Until log_use_levels is called. */
static const struct log_levels preset = {
#define FACILITY_LEVEL(name) [FACILITY_##name] = LEVEL_INFO,
	.level = {LOG_FACILITIES(FACILITY_LEVEL)},
#undef FACILITY_LEVEL
};

static const struct log_levels *levels_in_use = &preset;

static uint32_t lost_here, *lost_lines = &lost_here;

static int find_facility(const char *name, size_t length)
{
	for (int i = 0; i < FACILITY_COUNT; i++)
		if (strlen(facility_name[i]) == length &&
		    strncasecmp(facility_name[i], name, length) == 0)
			return i;
	return -1;
}

static int find_level(const char *name, size_t length)
{
	for (int i = 0; i < LEVEL_COUNT; i++)
		if (strlen(level_name[i]) == length &&
		    strncasecmp(level_name[i], name, length) == 0)
			return i;
	return -1;
}

static void lower_case(const char *name, char *text)
{
	for (; *name; name++, text++)
		*text = (char)(*name | 0x20);
	*text = '\0';
}

/* ------------------------------------------------------------------------- levels */

static bool is_written(enum log_level level, const char *facility)
{
	int index = find_facility(facility, strlen(facility));

	return level <=
	       __atomic_load_n(&levels_in_use->level[index < 0 ? 0 : index], __ATOMIC_RELAXED);
}

void log_use_levels(const struct log_levels *levels)
{
	/* the first use of a calendar opens /etc/localtime, which a sandbox would not allow */
	tzset();
	levels_in_use = levels;
}

void log_copy_levels(struct log_levels *to, const struct log_levels *from)
{
	for (int i = 0; i < FACILITY_COUNT; i++)
		__atomic_store_n(&to->level[i], from->level[i], __ATOMIC_RELAXED);
	__atomic_store_n(&to->json, from->json, __ATOMIC_RELAXED);
}

int log_parse_levels(const char *text, struct log_levels *levels, const char **bad)
{
	struct log_levels parsed = *levels;

	do {
		size_t length = strcspn(text, ","), name = strcspn(text, ",=");
		const char *word = name < length ? text + name + 1 : text;
		int level = find_level(word, length - (size_t)(word - text));
		int facility = find_facility(text, name);

		*bad = text;
		if (level < 0 || (name < length && facility < 0))
			return -EINVAL;
		if (name < length)
			parsed.level[facility] = (uint8_t)level;
		else
			memset(parsed.level, level, sizeof(parsed.level));
		text += length;
	} while (*text++);
	*levels = parsed;
	return 0;
}

json_t *log_levels_to_json(const struct log_levels *levels)
{
	json_t *object = json_object();
	char text[16];

	for (int i = 0; i < FACILITY_COUNT; i++) {
		lower_case(level_name[levels->level[i]], text);
		json_object_set_new(object, facility_name[i], json_string(text));
	}
	return object;
}

/* ------------------------------------------------------------------------- lines */

static size_t format_utc(char *text, size_t size)
{
	struct timespec now;
	struct tm tm;
	size_t length;

	clock_gettime(CLOCK_REALTIME, &now);
	length = strftime(text, size, "%Y-%m-%dT%H:%M:%S", gmtime_r(&now.tv_sec, &tm));
	return length +
	       (size_t)snprintf(text + length, size - length, ".%03ldZ", now.tv_nsec / 1000000);
}

static size_t format_json(enum log_level level, const char *facility, const char *text, char *line)
{
	char utc[48], name[16];
	size_t length;

	format_utc(utc, sizeof(utc));
	lower_case(level_name[level], name);
	length = (size_t)snprintf(
		line, LINE_BYTES,
		"{\"utc\":\"%s\",\"level\":\"%s\",\"facility\":\"%.32s\",\"message\":\"", utc, name,
		facility);
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			line[length++] = '\\';
		line[length++] = *text;
	}
	memcpy(line + length, "\"}\n", 3);
	return length + 3;
}

/* `text` is at most TEXT_BYTES long and is made printable. */
static size_t format_line(enum log_level level, const char *facility, char *text, bool bare,
			  char line[LINE_BYTES])
{
	printable_make(text);
	if (__atomic_load_n(&levels_in_use->json, __ATOMIC_RELAXED))
		return format_json(level, facility, text, line);
	if (bare)
		return (size_t)snprintf(line, LINE_BYTES, "%s\n", text);
	return (size_t)snprintf(line, LINE_BYTES, "[%s:%s] %s\n", level_name[level], facility,
				text);
}

static bool write_whole(const char *line, size_t length)
{
	return write(STDERR_FILENO, line, length) == (ssize_t)length;
}

/* Whoever makes room between the first attempt and the count looks for it before that: so there is
 * another attempt. */
static void write_line(enum log_level level, const char *facility, char *text, bool bare)
{
	char line[LINE_BYTES];
	const size_t length = format_line(level, facility, text, bare, line);

	if (write_whole(line, length))
		return;
	__atomic_add_fetch(lost_lines, 1, __ATOMIC_SEQ_CST);
	if (write_whole(line, length))
		__atomic_sub_fetch(lost_lines, 1, __ATOMIC_SEQ_CST);
}

void log_count_lost(uint32_t *lost)
{
	lost_lines = lost;
}

uint32_t log_lost(void)
{
	return __atomic_load_n(lost_lines, __ATOMIC_SEQ_CST);
}

size_t log_format_lost(uint32_t lost, char *line, size_t size)
{
	char text[TEXT_BYTES];

	if (size < LINE_BYTES)
		return 0;
	snprintf(text, sizeof(text), "%u %s lost: standard error was not read in time", lost,
		 lost == 1 ? "line was" : "lines were");
	return format_line(LEVEL_WARNING, "Supervisor", text, false, line);
}

void log_line(enum log_level level, const char *facility, const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list args;

	if (!is_written(level, facility))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	write_line(level, facility, text, false);
}

/* Whether there may be another line now; else it is counted. */
static bool is_due(struct log_limit *limit)
{
	const unsigned lines = limit->lines ? limit->lines : LOG_PER_SECOND;
	const unsigned seconds = limit->lines ? limit->seconds : 1;
	const uint64_t now_s = (uint64_t)now_about_ms() / 1000;

	if (limit->written == 0 || now_s >= limit->since_s + seconds) {
		limit->since_s = now_s;
		limit->written = 0;
	}
	limit->held_back += limit->written >= lines;
	return limit->written < lines;
}

void log_limited(struct log_limit *limit, enum log_level level, const char *facility,
		 const char *format, ...)
{
	char text[TEXT_BYTES];
	va_list args;
	int length;

	if (!is_due(limit) || !is_written(level, facility))
		return;
	va_start(args, format);
	length = vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	if (limit->held_back && length >= 0 && (size_t)length < sizeof(text))
		snprintf(text + length, sizeof(text) - (size_t)length,
			 " (and %u more lines like this)", limit->held_back);
	limit->held_back = 0;
	limit->written++;
	write_line(level, facility, text, false);
}

void log_packet(uint32_t group, uint16_t port, uint32_t bytes)
{
	const struct in_addr address = {group};
	char text[INET_ADDRSTRLEN];

	log_info("Worker", "packet to %s:%u, %u bytes",
		 inet_ntop(AF_INET, &address, text, sizeof(text)), port, bytes);
}

void log_report(const char *lines)
{
	while (*lines && is_written(LEVEL_INFO, "Stats")) {
		int length = (int)strcspn(lines, "\n");
		char text[TEXT_BYTES];

		snprintf(text, sizeof(text), "%.*s", length, lines);
		write_line(LEVEL_INFO, "Stats", text, true);
		lines += length + (lines[length] == '\n');
	}
}

/* SPDX-License-Identifier: MIT
 *
 * log: whole lines on stderr, each with a level and a facility, as text or as JSON:
 *
 *   [WARNING:Egress] text
 *   {"utc":"2026-11-20T10:00:00.123Z","level":"warning","facility":"Egress","message":"text"}
 *
 * Every facility has a level of its own; less important lines are not even formatted. Never called
 * per packet, but by log_packet(): what traffic can cause is logged through a log_limit, and
 * counted.
 */
#ifndef LOG_H
#define LOG_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* As syslog(3) has them, and one more. */
#define LOG_LEVELS(X) \
	X(EMERGENCY) X(ALERT) X(CRITICAL) X(ERROR) X(WARNING) X(NOTICE) X(INFO) X(DEBUG) X(TRACE)
enum log_level {
#define LEVEL_ENUM(name) LEVEL_##name,
	LOG_LEVELS(LEVEL_ENUM)
#undef LEVEL_ENUM
		LEVEL_COUNT,
};

/* What a line is about; callers give the name as a string. */
#define LOG_FACILITIES(X) \
	X(Supervisor) X(Worker) X(Ingress) X(Egress) X(Control) X(Stats) X(Config) X(Http)
enum log_facility {
#define FACILITY_ENUM(name) FACILITY_##name,
	LOG_FACILITIES(FACILITY_ENUM)
#undef FACILITY_ENUM
		FACILITY_COUNT,
};

/* Which lines are written, and how. Shared memory: the supervisor writes, workers read. */
struct log_levels {
	uint8_t level[FACILITY_COUNT]; /* enum log_level: the least important one that is written */
	uint8_t json;		       /* bool */
};

#define log_error(facility, ...)   log_line(LEVEL_ERROR, facility, __VA_ARGS__)
#define log_warning(facility, ...) log_line(LEVEL_WARNING, facility, __VA_ARGS__)
#define log_notice(facility, ...)  log_line(LEVEL_NOTICE, facility, __VA_ARGS__)
#define log_info(facility, ...)	   log_line(LEVEL_INFO, facility, __VA_ARGS__)
#define log_debug(facility, ...)   log_line(LEVEL_DEBUG, facility, __VA_ARGS__)
#define log_trace(facility, ...)   log_line(LEVEL_TRACE, facility, __VA_ARGS__)

void log_line(enum log_level level, const char *facility, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* At most so many lines in so many seconds from one place, which keeps the limit and does not share
 * it with another thread: for each thing and cause, not for each of a thousand outputs that have
 * both. The first line after a silence says how many were held back. All zero at first, or `lines`
 * and `seconds` set. */
enum { LOG_PER_SECOND = 5 };
struct log_limit {
	uint32_t lines, seconds; /* 0, 0: LOG_PER_SECOND in one */
	uint64_t since_s;
	uint32_t written, held_back; /* since then; since the last line */
};

void log_limited(struct log_limit *limit, enum log_level level, const char *facility,
		 const char *format, ...) __attribute__((format(printf, 4, 5)));

/* --log-packets: a line for one packet, to `group` (network order) and `port` (host order), of
 * `bytes` payload. A system call per packet: it is meant to show what is relayed, or how much a
 * relay is slowed down by such a thing. */
void log_packet(uint32_t group, uint16_t port, uint32_t bytes);

/* The lines of a report, level info, facility Stats: as they are in text format. */
void log_report(const char *lines);

/* A line that cannot be written at once is lost (pump.h): it is counted, in *lost from now on,
 * which may be shared memory, and stays the caller's. How many so far. */
void log_count_lost(uint32_t *lost);
uint32_t log_lost(void);

/* A whole line that says that so many were lost. Returns its bytes; 0 if `size` is less than
 * PIPE_BUF. */
size_t log_format_lost(uint32_t lost, char *line, size_t size);

/* From now on these levels count, and what is written to them later; they stay the caller's. To be
 * called before the system calls of the process are restricted. */
void log_use_levels(const struct log_levels *levels);

/* "info,Egress=debug": a level for all, and for single facilities; either may be left out.
 * -EINVAL: `bad` points to what is wrong. */
int log_parse_levels(const char *text, struct log_levels *levels, const char **bad);

/* New object {"Supervisor":"info",...}. */
json_t *log_levels_to_json(const struct log_levels *levels);

/* Relaxed stores; of `to` in shared memory. */
void log_copy_levels(struct log_levels *to, const struct log_levels *from);

#endif

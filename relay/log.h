/* SPDX-License-Identifier: MIT
 *
 * log: whole lines on stderr, "[LEVEL:Facility] text". Never called per packet: whoever reports
 * something that traffic can cause does so once, and counts the rest.
 */
#ifndef LOG_H
#define LOG_H

#define log_error(facility, ...)   log_line("ERROR", facility, __VA_ARGS__)
#define log_warning(facility, ...) log_line("WARNING", facility, __VA_ARGS__)
#define log_info(facility, ...)	   log_line("INFO", facility, __VA_ARGS__)

void log_line(const char *level, const char *facility, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif

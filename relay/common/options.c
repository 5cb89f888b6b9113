// SPDX-License-Identifier: MIT
/*
 * options: see options.h. getopt_long does the scanning; argp would print its errors in two lines
 * and knows nothing of environment variables, ranges or man pages.
 */
#include "common/options.h"
#include "common/printable.h"
#include "common/version.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#define MAX_OPTIONS 64
enum { KEY_HELP = 1000, KEY_VERSION, KEY_MAN, KEY_FIRST };

static bool is_option(const struct option_def *def)
{
	return def->type != OPTION_HEADING;
}

int options_refuse(const struct program *program, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	printable_make(text);
	fprintf(stderr, "%s: %s; see '%s --help'\n", program->name, text, program->name);
	return -EINVAL;
}

static bool parse_uint(const char *text, uint64_t *value)
{
	char *end;

	if (!isdigit((unsigned char)text[0]))
		return false;
	errno = 0;
	*value = strtoull(text, &end, 10);
	return errno == 0 && *end == '\0';
}

/* Whole seconds and up to three decimals: "10", "2.5". */
static bool parse_seconds(const char *text, uint64_t *milliseconds)
{
	uint64_t seconds, scale = 100;
	const char *dot = strchr(text, '.');
	char whole[24] = "";
	size_t length = dot ? (size_t)(dot - text) : strlen(text);

	if (length >= sizeof(whole))
		return false;
	memcpy(whole, text, length);
	if (!parse_uint(whole, &seconds) || seconds > UINT64_MAX / 1000 - 1)
		return false;
	*milliseconds = seconds * 1000;
	if (!dot)
		return true;
	for (text = dot + 1; isdigit((unsigned char)*text) && scale > 0; text++, scale /= 10)
		*milliseconds += (uint64_t)(*text - '0') * scale;
	return text > dot + 1 && *text == '\0';
}

static int append(const struct program *program, const char *source, const char *text,
		  struct option_list *list)
{
	if (list->count == sizeof(list->item) / sizeof(list->item[0]))
		return options_refuse(program, "%s: given more than %u times", source, list->count);
	list->item[list->count++] = text;
	return 0;
}

/* `source` names where the text came from: "--queue-depth" or "environment MCR_...". */
static int store(const struct program *program, const struct option_def *def, const char *source,
		 const char *text, void *config)
{
	void *field = (char *)config + def->offset;
	uint64_t value;

	switch (def->type) {
	case OPTION_FLAG:
		*(bool *)field = true;
		return 0;
	case OPTION_UINT:
		if (!parse_uint(text, &value) || value < def->min || value > def->max)
			return options_refuse(
				program, "%s: '%s' is not a whole number from %llu to %llu", source,
				text, (unsigned long long)def->min, (unsigned long long)def->max);
		*(uint64_t *)field = value;
		return 0;
	case OPTION_SECONDS:
		if (!parse_seconds(text, &value) || value < def->min || value > def->max)
			return options_refuse(
				program, "%s: '%s' is not a time from %g to %g seconds", source,
				text, (double)def->min / 1000, (double)def->max / 1000);
		*(uint64_t *)field = value;
		return 0;
	case OPTION_STRING:
		if (text[0] == '\0')
			return options_refuse(program, "%s: expected %s, found an empty string",
					      source, def->arg);
		*(const char **)field = text;
		return 0;
	case OPTION_LIST:
		return append(program, source, text, field);
	case OPTION_IPV4:
		if (inet_pton(AF_INET, text, field) != 1)
			return options_refuse(program,
					      "%s: '%s' is not an IPv4 address such as 10.0.0.1",
					      source, text);
		return 0;
	default:
		return -EINVAL;
	}
}

static void print_wrapped(FILE *out, const char *text, int indent, int column)
{
	while (*text) {
		int length = (int)strcspn(text, " ");

		if (column > indent && column + 1 + length > 96) {
			fprintf(out, "\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			fputc(' ', out);
			column++;
		}
		fprintf(out, "%.*s", length, text);
		column += length;
		text += length;
		text += strspn(text, " ");
	}
	fputc('\n', out);
}

static void print_option(const char *name, const char *arg, const char *help)
{
	int column = printf("  --%s%s%s", name, arg ? " " : "", arg ? arg : "");

	if (column > 27) {
		putchar('\n');
		column = 0;
	}
	printf("%*s", 28 - column, "");
	print_wrapped(stdout, help, 28, 28);
}

/* "help text (default 1024; environment MCR_X)" */
static void describe(const struct option_def *def, char *text, size_t size)
{
	const char *open = " (";
	size_t used = (size_t)snprintf(text, size, "%s", def->help);

	if (def->required)
		used += (size_t)snprintf(text + used, size - used, "%srequired", open), open = "; ";
	if (def->preset)
		used += (size_t)snprintf(text + used, size - used, "%sdefault %s", open,
					 def->preset),
			open = "; ";
	if (def->env)
		used += (size_t)snprintf(text + used, size - used, "%senvironment %s", open,
					 def->env),
			open = "; ";
	if (open[0] == ';')
		snprintf(text + used, size - used, ")");
}

static void print_help(const struct program *program)
{
	char text[1024];

	printf("Usage: %s %s\n\n", program->name, program->usage);
	print_wrapped(stdout, program->purpose, 0, 0);
	for (const struct option_def *def = program->options; def->type != OPTION_END; def++) {
		if (def->type == OPTION_HEADING) {
			printf("\n%s:\n", def->help);
			continue;
		}
		describe(def, text, sizeof(text));
		print_option(def->name, def->arg, text);
	}
	printf("\nOther:\n");
	print_option("help", NULL, "print this text");
	print_option("version", NULL, "print the version");
	if (program->closing)
		printf("\n%s", program->closing);
}

/* troff treats '-' as a hyphen and a leading '.' or ''' as a request. */
static void print_troff(const char *text)
{
	for (; *text; text++) {
		if (*text == '-')
			fputs("\\-", stdout);
		else if (*text == '\\')
			fputs("\\e", stdout);
		else
			putchar(*text);
	}
}

static void print_man_options(const struct program *program)
{
	char text[1024];

	for (const struct option_def *def = program->options; def->type != OPTION_END; def++) {
		if (def->type == OPTION_HEADING) {
			printf(".SS %s\n", def->help);
			continue;
		}
		printf(".TP\n.B \\-\\-");
		print_troff(def->name);
		if (def->arg)
			printf(" \\fI%s\\fR", def->arg);
		putchar('\n');
		describe(def, text, sizeof(text));
		print_troff(text);
		putchar('\n');
	}
}

static int apply_presets(const struct program *program, void *config)
{
	for (const struct option_def *def = program->options; def->type != OPTION_END; def++) {
		const char *text;
		char source[128];
		int rc;

		if (!is_option(def))
			continue;
		if (def->preset && (rc = store(program, def, def->name, def->preset, config)) < 0)
			return rc;
		text = def->env ? getenv(def->env) : NULL;
		if (!text)
			continue;
		snprintf(source, sizeof(source), "environment variable %s", def->env);
		rc = store(program, def, source, text, config);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* Returns the number of options in the table. */
static int build_getopt_table(const struct option_def *defs, struct option *table)
{
	int count = 0;

	for (int i = 0; defs[i].type != OPTION_END && count < MAX_OPTIONS; i++)
		if (is_option(&defs[i]))
			table[count++] = (struct option){
				defs[i].name,
				defs[i].arg ? required_argument : no_argument,
				NULL,
				KEY_FIRST + i,
			};
	table[count] = (struct option){"help", no_argument, NULL, KEY_HELP};
	table[count + 1] = (struct option){"version", no_argument, NULL, KEY_VERSION};
	table[count + 2] = (struct option){"man-options", no_argument, NULL, KEY_MAN};
	return count;
}

static int check_required(const struct program *program, const bool *given)
{
	const struct option_def *defs = program->options;

	for (int i = 0; defs[i].type != OPTION_END; i++)
		if (is_option(&defs[i]) && defs[i].required && !given[i] &&
		    !(defs[i].env && getenv(defs[i].env)))
			return options_refuse(program, "--%s %s is missing", defs[i].name,
					      defs[i].arg);
	return 0;
}

/* What getopt_long leaves behind: optopt is a short option's character, the key of a long option
 * that has a value but takes none, or 0. */
static int refuse_option(const struct program *program, const char *word)
{
	if (optopt >= KEY_HELP)
		return options_refuse(program, "%.*s takes no value", (int)strcspn(word, "="),
				      word);
	if (optopt)
		return options_refuse(program, "unknown or ambiguous option '-%c'", optopt);
	return options_refuse(program, "unknown or ambiguous option '%s'", word);
}

int options_parse(const struct program *program, int argc, char **argv, void *config)
{
	struct option table[MAX_OPTIONS + 4] = {0};
	bool given[MAX_OPTIONS] = {0};
	int key, rc;

	rc = apply_presets(program, config);
	if (rc < 0)
		return rc;
	build_getopt_table(program->options, table);
	optind = 0; /* a GNU extension: start anew, also for the second table of a program */
	opterr = 0;
	while ((key = getopt_long(argc, argv, "+:h", table, NULL)) != -1) {
		const struct option_def *def;
		char source[128];

		switch (key) {
		case 'h':
		case KEY_HELP:
			print_help(program);
			return 1;
		case KEY_VERSION:
			printf("%s %s\n", program->name, MCRELAY_VERSION);
			return 1;
		case KEY_MAN:
			print_man_options(program);
			return 1;
		case ':':
			return options_refuse(program, "%s needs a value", argv[optind - 1]);
		case '?':
			return refuse_option(program, argv[optind - 1]);
		default:
			def = &program->options[key - KEY_FIRST];
			given[key - KEY_FIRST] = true;
			snprintf(source, sizeof(source), "--%s", def->name);
			rc = store(program, def, source, optarg, config);
			if (rc < 0)
				return rc;
		}
	}
	if (optind < argc && !program->takes_arguments)
		return options_refuse(program, "unexpected argument '%s'", argv[optind]);
	return check_required(program, given);
}

json_t *options_to_json(const struct option_def *options, const void *config)
{
	json_t *object = json_object();

	for (const struct option_def *def = options; def->type != OPTION_END; def++) {
		const void *field = (const char *)config + def->offset;
		const char *text;
		json_t *string;
		char address[INET_ADDRSTRLEN];

		switch (def->type) {
		case OPTION_FLAG:
			json_object_set_new(object, def->name, json_boolean(*(const bool *)field));
			break;
		case OPTION_UINT:
			json_object_set_new(object, def->name,
					    json_integer((json_int_t) * (const uint64_t *)field));
			break;
		case OPTION_SECONDS:
			json_object_set_new(object, def->name,
					    json_real((double)*(const uint64_t *)field / 1000));
			break;
		case OPTION_STRING:
			text = *(const char *const *)field;
			string = text ? json_string(text) : NULL; /* NULL if not UTF-8 */
			json_object_set_new(object, def->name, string ? string : json_null());
			break;
		case OPTION_IPV4:
			inet_ntop(AF_INET, field, address, sizeof(address));
			json_object_set_new(object, def->name, json_string(address));
			break;
		default:
			break;
		}
	}
	return object;
}

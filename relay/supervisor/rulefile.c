// SPDX-License-Identifier: MIT
/*
 * rulefile: see rulefile.h. jansson parses; what follows walks the document once, top to bottom,
 * and carries the path of where it is ($.rules[0].outputs[1].port) so that a refusal can name it.
 */
#include "supervisor/rulefile.h"
#include "common/json_file.h"
#include "common/printable.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct reader {
	const char *name;
	rulefile_interface interface;
	void *context;
	char *error;
	char path[128];
};

/* Where a member of the object now being read stands; undone by leave(). */
static size_t enter(struct reader *r, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

static size_t enter(struct reader *r, const char *format, ...)
{
	size_t length = strlen(r->path);
	va_list args;

	va_start(args, format);
	vsnprintf(r->path + length, sizeof(r->path) - length, format, args);
	va_end(args);
	return length;
}

static void leave(struct reader *r, size_t length)
{
	r->path[length] = '\0';
}

static int refuse(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int refuse(struct reader *r, const char *format, ...)
{
	int length = snprintf(r->error, RULEFILE_ERROR_BYTES, "%s: %s: ", r->name, r->path);
	va_list args;

	if (length < 0 || length >= RULEFILE_ERROR_BYTES)
		return -EINVAL;
	va_start(args, format);
	vsnprintf(r->error + length, RULEFILE_ERROR_BYTES - (size_t)length, format, args);
	va_end(args);
	return -EINVAL;
}

/* "found 70000", "found an array": a value in at most a few words. */
static const char *found(const json_t *value, char text[64])
{
	if (!value)
		return "nothing";
	switch (json_typeof(value)) {
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	case JSON_STRING:
		snprintf(text, 64, "\"%.50s\"", json_string_value(value));
		break;
	case JSON_INTEGER:
		snprintf(text, 64, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
		break;
	case JSON_REAL:
		snprintf(text, 64, "%g", json_real_value(value));
		break;
	case JSON_TRUE:
		return "true";
	case JSON_FALSE:
		return "false";
	case JSON_NULL:
		return "null";
	}
	return text;
}

static int expected(struct reader *r, const json_t *value, const char *what)
{
	char text[64];

	return refuse(r, "found %s, expected %s", found(value, text), what);
}

static int check_keys(struct reader *r, json_t *object, const char *const *allowed,
		      const char *list)
{
	const char *key;
	json_t *value;

	json_object_foreach (object, key, value) {
		bool known = false;

		for (int i = 0; allowed[i]; i++)
			known |= strcmp(key, allowed[i]) == 0;
		if (!known)
			return refuse(r, "unknown key \"%.40s\", expected %s", key, list);
	}
	return 0;
}

static int read_integer(struct reader *r, json_t *object, const char *key, json_int_t min,
			json_int_t max, json_int_t *result)
{
	json_t *value = json_object_get(object, key);
	size_t here = enter(r, ".%s", key);
	char range[64];

	if (!json_is_integer(value) || json_integer_value(value) < min ||
	    json_integer_value(value) > max) {
		snprintf(range, sizeof(range),
			 "a whole number from %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT,
			 min, max);
		return expected(r, value, range);
	}
	*result = json_integer_value(value);
	leave(r, here);
	return 0;
}

/* As the kernel sees it: of any other name there will never be one. */
static bool can_be_interface(const char *text)
{
	return text[0] && strlen(text) < IFNAMSIZ && !strpbrk(text, "/: \t\n\v\f\r") &&
	       strcmp(text, ".") != 0 && strcmp(text, "..") != 0;
}

static int read_interface(struct reader *r, json_t *object, char name[IFNAMSIZ])
{
	json_t *value = json_object_get(object, "interface");
	const char *text = json_string_value(value);
	size_t here = enter(r, ".interface");

	if (!text || !can_be_interface(text))
		return expected(r, value,
				"the name of a network interface, 1 to 15 characters without "
				"blanks, '/' and ':'");
	strcpy(name, text);
	leave(r, here);
	return 0;
}

/* Packets of this host, of no host and of all hosts of a link stay where they are. */
static bool can_be_relayed(struct in_addr address)
{
	uint32_t net = ntohl(address.s_addr) >> 24;

	return net > 0 && net != IN_LOOPBACKNET && net < 240;
}

static int read_group(struct reader *r, json_t *object, struct in_addr *group)
{
	json_t *value = json_object_get(object, "group");
	const char *text = json_string_value(value);
	size_t here = enter(r, ".group");

	if (!text || inet_pton(AF_INET, text, group) != 1 || !can_be_relayed(*group))
		return expected(r, value,
				"an IPv4 multicast or unicast address, 1.0.0.0 to 239.255.255.255 "
				"without 127.0.0.0/8");
	leave(r, here);
	return 0;
}

static int read_endpoint(struct reader *r, json_t *object, struct endpoint *endpoint)
{
	json_int_t port = 0;
	int rc;

	rc = read_interface(r, object, endpoint->interface);
	if (rc == 0)
		rc = read_group(r, object, &endpoint->group);
	if (rc == 0)
		rc = read_integer(r, object, "port", 1, 65535, &port);
	if (rc == 0)
		endpoint->port = (uint16_t)port;
	return rc;
}

/* "ttl", "dscp": a number or a word, which stands for `meaning`. *result stays as it is when there
 * is neither. */
static int read_number_or_word(struct reader *r, json_t *object, const char *key, json_int_t min,
			       json_int_t max, const char *word, uint8_t meaning, uint8_t *result)
{
	json_t *value = json_object_get(object, key);
	const char *text = json_string_value(value);
	size_t here = enter(r, ".%s", key);
	char choice[64];

	if (!value) {
		;
	} else if (json_is_integer(value) && json_integer_value(value) >= min &&
		   json_integer_value(value) <= max) {
		*result = (uint8_t)json_integer_value(value);
	} else if (text && strcmp(text, word) == 0) {
		*result = meaning;
	} else {
		snprintf(choice, sizeof(choice),
			 "a whole number from %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT
			 " or \"%s\"",
			 min, max, word);
		return expected(r, value, choice);
	}
	leave(r, here);
	return 0;
}

/* Two names may be one interface's. */
static bool same_interface(const struct reader *r, const char *a, const char *b)
{
	unsigned index;

	if (strcmp(a, b) == 0)
		return true;
	index = r->interface(a, r->context);
	return index && index == r->interface(b, r->context);
}

static bool same_endpoint(const struct reader *r, const struct endpoint *a,
			  const struct endpoint *b)
{
	return a->group.s_addr == b->group.s_addr && a->port == b->port &&
	       same_interface(r, a->interface, b->interface);
}

/* Of the hosts of a network, as packets have them: none has 0.0.0.0/8, but all are in 0.0.0.0/0. */
static bool can_be_source(const struct prefix *prefix)
{
	return prefix->address >> 24 < 224 && (prefix->address >> 24 > 0 || prefix->length < 8);
}

static int read_sources(struct reader *r, json_t *object, struct rule *rule)
{
	json_t *list = json_object_get(object, "sources");
	size_t here = enter(r, ".sources");

	if (rule->num_sources)
		return refuse(r, "found some in the input as well, expected one list");
	if (!json_is_array(list))
		return expected(r, list, "an array of IPv4 addresses and prefixes");
	if (json_array_size(list) == 0)
		return refuse(r, "no source, and no packet would match; expected at least one, or "
				 "no \"sources\" for packets of any");
	if (json_array_size(list) > RULE_SOURCES_MAX)
		return refuse(r, "found %zu sources, expected at most %d; a prefix stands for many",
			      json_array_size(list), RULE_SOURCES_MAX);
	rule->sources = calloc(json_array_size(list), sizeof(*rule->sources));
	if (!rule->sources)
		return refuse(r, "out of memory");
	for (size_t i = 0; i < json_array_size(list); i++) {
		json_t *value = json_array_get(list, i);
		const char *text = json_string_value(value);
		size_t item = enter(r, "[%zu]", i);

		if (!text || !prefix_parse(text, &rule->sources[i]) ||
		    !can_be_source(&rule->sources[i]))
			return expected(r, value,
					"an IPv4 address or prefix of senders, such as "
					"\"192.0.2.7\" or \"10.1.0.0/16\"");
		leave(r, item);
	}
	rule->num_sources = sources_normalize(rule->sources, (unsigned)json_array_size(list));
	leave(r, here);
	return 0;
}

static int read_input(struct reader *r, json_t *object, struct rule *rule)
{
	static const char *const keys[] = {"interface", "group", "port", "sources", NULL};
	json_t *value = json_object_get(object, "input");
	size_t here = enter(r, ".input");
	int rc;

	if (!json_is_object(value))
		return expected(r, value, "an object with interface, group and port");
	rc = check_keys(r, value, keys, "interface, group, port or sources");
	if (rc == 0)
		rc = read_endpoint(r, value, &rule->input);
	if (rc == 0 && json_object_get(value, "sources"))
		rc = read_sources(r, value, rule);
	if (rc == 0)
		leave(r, here);
	return rc;
}

/* "source", if it is there. */
static int read_source(struct reader *r, json_t *object, struct in_addr *source)
{
	json_t *value = json_object_get(object, "source");
	const char *text = json_string_value(value);
	size_t here = enter(r, ".source");
	uint32_t net;

	if (value) {
		if (!text || inet_pton(AF_INET, text, source) != 1)
			return expected(r, value, "an IPv4 address of the interface");
		net = ntohl(source->s_addr) >> 24;
		if (net == 0 || net >= 224)
			return expected(r, value, "an IPv4 address of the interface");
	}
	leave(r, here);
	return 0;
}

static int read_source_port(struct reader *r, json_t *object, uint16_t *port)
{
	json_int_t value = 0;
	int rc = 0;

	if (json_object_get(object, "source_port"))
		rc = read_integer(r, object, "source_port", 1, 65535, &value);
	*port = (uint16_t)value;
	return rc;
}

static int read_output(struct reader *r, json_t *value, const struct rule *rule,
		       struct rule_output *output)
{
	static const char *const keys[] = {"interface", "group",  "port",	 "ttl",
					   "dscp",	"source", "source_port", NULL};
	int rc;

	if (!json_is_object(value))
		return expected(r, value, "an object with group, port, interface and ttl");
	*output = (struct rule_output){.ttl = 1};
	rc = check_keys(r, value, keys, "group, port, interface, ttl, dscp, source or source_port");
	if (rc == 0)
		rc = read_endpoint(r, value, &output->to);
	if (rc == 0)
		rc = read_number_or_word(r, value, "ttl", 1, 255, "decrement", TTL_DECREMENT,
					 &output->ttl);
	if (rc == 0)
		rc = read_number_or_word(r, value, "dscp", 0, 63, "keep", DSCP_KEEP, &output->dscp);
	if (rc == 0)
		rc = read_source(r, value, &output->source);
	if (rc == 0)
		rc = read_source_port(r, value, &output->source_port);
	if (rc < 0)
		return rc;
	if (same_endpoint(r, &output->to, &rule->input))
		return refuse(r, "the output equals the rule's input, which would loop; expected "
				 "another interface, group or port");
	for (unsigned i = 0; i < rule->num_outputs; i++)
		if (same_endpoint(r, &output->to, &rule->outputs[i].to))
			return refuse(r, "the same as outputs[%u]; expected each output once", i);
	return 0;
}

static int read_outputs(struct reader *r, json_t *object, struct rule *rule)
{
	json_t *value = json_object_get(object, "outputs");
	size_t here = enter(r, ".outputs");
	int rc;

	if (!json_is_array(value))
		return expected(r, value, "an array of outputs, which may be empty");
	if (json_array_size(value) > RULE_OUTPUTS_MAX)
		return refuse(r, "found %zu outputs, expected at most %d", json_array_size(value),
			      RULE_OUTPUTS_MAX);
	rule->outputs = calloc(json_array_size(value) + 1, sizeof(*rule->outputs));
	if (!rule->outputs)
		return refuse(r, "out of memory");
	for (size_t i = 0; i < json_array_size(value); i++) {
		size_t item = enter(r, "[%zu]", i);

		rc = read_output(r, json_array_get(value, i), rule, &rule->outputs[i]);
		if (rc < 0)
			return rc;
		rule->num_outputs++;
		leave(r, item);
	}
	leave(r, here);
	return 0;
}

static int read_id(struct reader *r, json_t *object, struct rule *rule)
{
	json_t *value = json_object_get(object, "id");
	const char *text = json_string_value(value);
	size_t here = enter(r, ".id");

	if (!value) {
		rule_default_id(rule, rule->id);
		leave(r, here);
		return 0;
	}
	if (!text || text[0] == '\0' || strlen(text) >= RULE_ID_BYTES)
		return expected(r, value, "a string of 1 to 64 characters");
	for (const char *c = text; *c; c++)
		if (!isgraph((unsigned char)*c))
			return expected(r, value, "printable ASCII characters without blanks");
	strcpy(rule->id, text);
	leave(r, here);
	return 0;
}

/* Of a rule and an earlier one with the same input: no packet may match both. */
static int compare_sources(struct reader *r, const struct rule *rule, const struct rule *other,
			   unsigned index)
{
	const struct prefix *common = sources_common(rule->sources, rule->num_sources,
						     other->sources, other->num_sources);
	char text[PREFIX_TEXT_BYTES];

	if (rule->num_sources == 0 && other->num_sources == 0)
		return refuse(r,
			      "the same input as rules[%u], \"%s\"; expected one rule with the "
			      "outputs of both",
			      index, other->id);
	if (rule->num_sources == 0 || other->num_sources == 0)
		return refuse(r,
			      "the same input as rules[%u], \"%s\", and %s takes packets of any "
			      "source; expected sources for both",
			      index, other->id, rule->num_sources ? "that one" : "this one");
	if (common)
		return refuse(r,
			      "the same input as rules[%u], \"%s\", which takes packets from %s as "
			      "well; expected sources that do not overlap",
			      index, other->id, prefix_format(common, text));
	return 0;
}

/* What `mcrelayctl list` says of a rule besides, its state and the reason, is accepted and ignored.
 */
static int read_rule(struct reader *r, json_t *value, struct rules *rules)
{
	static const char *const keys[] = {"id",    "input",  "sources", "outputs",
					   "state", "reason", NULL};
	struct rule *rule = &rules->rule[rules->count];
	int rc;

	if (!json_is_object(value))
		return expected(r, value, "an object with input and outputs");
	rules->count++; /* what read_outputs allocates is freed with the rest from here on */
	rc = check_keys(r, value, keys, "id, input, sources or outputs");
	if (rc == 0)
		rc = read_input(r, value, rule);
	if (rc == 0 && json_object_get(value, "sources"))
		rc = read_sources(r, value, rule);
	if (rc == 0)
		rc = read_id(r, value, rule);
	if (rc == 0)
		rc = read_outputs(r, value, rule);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i + 1 < rules->count; i++) {
		if (strcmp(rule->id, rules->rule[i].id) == 0)
			return refuse(r, "the same id as rules[%u], \"%s\"; expected a unique id",
				      i, rule->id);
		if (same_endpoint(r, &rule->input, &rules->rule[i].input)) {
			rc = compare_sources(r, rule, &rules->rule[i], i);
			if (rc < 0)
				return rc;
		}
	}
	return 0;
}

static int read_document(struct reader *r, json_t *document, struct rules *rules)
{
	static const char *const keys[] = {"rules", NULL};
	json_t *list = json_object_get(document, "rules");
	size_t num_sources = 0;
	int rc;

	if (!json_is_object(document))
		return expected(r, document, "an object with the key rules");
	rc = check_keys(r, document, keys, "rules");
	if (rc < 0)
		return rc;
	enter(r, ".rules");
	if (!json_is_array(list))
		return expected(r, list, "an array of rules");
	if (json_array_size(list) > RULES_MAX)
		return refuse(r, "found %zu rules, expected at most %d", json_array_size(list),
			      RULES_MAX);
	rules->rule = calloc(json_array_size(list) + 1, sizeof(*rules->rule));
	if (!rules->rule)
		return refuse(r, "out of memory");
	for (size_t i = 0; i < json_array_size(list); i++) {
		size_t item = enter(r, "[%zu]", i);

		rc = read_rule(r, json_array_get(list, i), rules);
		if (rc < 0)
			return rc;
		leave(r, item);
		num_sources += rules->rule[i].num_sources;
	}
	if (num_sources > SOURCES_MAX)
		return refuse(r,
			      "found %zu sources in all, expected at most %d; a prefix stands "
			      "for many",
			      num_sources, SOURCES_MAX);
	return 0;
}

static int build(struct reader *r, json_t *document, struct rules *rules)
{
	int rc = read_document(r, document, rules);

	if (rc < 0) {
		rules_free(rules);
		printable_make(r->error);
	}
	return rc;
}

/* Of a document that has just been parsed; takes over the reference. */
static int build_parsed(const char *name, json_t *document, const json_error_t *json_error,
			rulefile_interface interface, void *context, struct rules *rules,
			char *error)
{
	struct reader r = {name, interface, context, error, "$"};
	int rc = -EINVAL;

	*rules = (struct rules){0};
	if (document) {
		rc = build(&r, document, rules);
		json_decref(document);
	} else {
		snprintf(error, RULEFILE_ERROR_BYTES, "%s:%d:%d: not valid JSON: %s", name,
			 json_error->line, json_error->column, json_error->text);
		printable_make(error);
	}
	return rc;
}

int rulefile_from_json(const char *name, json_t *document, rulefile_interface interface,
		       void *context, struct rules *rules, char error[RULEFILE_ERROR_BYTES])
{
	struct reader r = {name, interface, context, error, "$"};

	*rules = (struct rules){0};
	return build(&r, document, rules);
}

int rulefile_load(const char *path, rulefile_interface interface, void *context,
		  struct rules *rules, char error[RULEFILE_ERROR_BYTES])
{
	json_error_t json_error;
	int rc;
	json_t *document = json_file_read(path, JSON_REJECT_DUPLICATES, &json_error, &rc);

	*rules = (struct rules){0};
	if (rc == 0)
		return build_parsed(path, document, &json_error, interface, context, rules, error);
	snprintf(error, RULEFILE_ERROR_BYTES, "%s: cannot read the rule file: %s", path,
		 json_file_reason(rc));
	return rc;
}

int rulefile_parse(const char *name, const char *text, size_t length, rulefile_interface interface,
		   void *context, struct rules *rules, char error[RULEFILE_ERROR_BYTES])
{
	json_error_t json_error;
	json_t *document = json_loadb(text, length, JSON_REJECT_DUPLICATES, &json_error);

	return build_parsed(name, document, &json_error, interface, context, rules, error);
}

static json_t *address_to_json(struct in_addr address)
{
	char text[INET_ADDRSTRLEN];

	return json_string(inet_ntop(AF_INET, &address, text, sizeof(text)));
}

static json_t *endpoint_to_json(const struct endpoint *endpoint)
{
	return json_pack("{s:s, s:o, s:i}", "interface", endpoint->interface, "group",
			 address_to_json(endpoint->group), "port", (int)endpoint->port);
}

json_t *rule_output_to_json(const struct rule_output *output)
{
	json_t *object = endpoint_to_json(&output->to);

	json_object_set_new(object, "ttl",
			    output->ttl == TTL_DECREMENT ? json_string("decrement")
							 : json_integer(output->ttl));
	if (output->dscp)
		json_object_set_new(object, "dscp",
				    output->dscp == DSCP_KEEP ? json_string("keep")
							      : json_integer(output->dscp));
	if (output->source.s_addr != INADDR_ANY)
		json_object_set_new(object, "source", address_to_json(output->source));
	if (output->source_port)
		json_object_set_new(object, "source_port", json_integer(output->source_port));
	return object;
}

json_t *rule_input_to_json(const struct rule *rule)
{
	json_t *object = endpoint_to_json(&rule->input), *sources;
	char text[PREFIX_TEXT_BYTES];

	if (rule->num_sources == 0)
		return object;
	sources = json_array();
	for (unsigned i = 0; i < rule->num_sources; i++)
		json_array_append_new(sources, json_string(prefix_format(&rule->sources[i], text)));
	json_object_set_new(object, "sources", sources);
	return object;
}

static json_t *rule_to_json(const struct rule *rule)
{
	json_t *outputs = json_array();

	for (unsigned i = 0; i < rule->num_outputs; i++)
		json_array_append_new(outputs, rule_output_to_json(&rule->outputs[i]));
	return json_pack("{s:s, s:o, s:o}", "id", rule->id, "input", rule_input_to_json(rule),
			 "outputs", outputs);
}

json_t *rules_to_json(const struct rules *rules)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < rules->count; i++)
		json_array_append_new(list, rule_to_json(&rules->rule[i]));
	return list;
}

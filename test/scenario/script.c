/* A script: comments, commands, and after each what it had to tell. */
#include "scenario.h"

#include <stdio.h>
#include <stdlib.h>

enum { SCRIPT_BYTES_MAX = 1024 * 1024 };

struct script {
  const char *path;
  struct slice rest; /* of its text */
  size_t line;       /* number of the last line taken */
  struct bytes now;  /* the script as it would have to be */
  bool update, differs;
};

static char place[512];

const char *script_place(void) {
  return place[0] != '\0' ? place : NULL;
}

static bool read_whole(const char *path, struct bytes *text) {
  FILE *file = fopen(path, "r");
  if (file == NULL) return false;
  size_t n;
  do {
    n = fread(bytes_reserve(text, 4096), 1, 4096, file);
    text->n += n;
  } while (n > 0 && text->n < SCRIPT_BYTES_MAX);
  bool ok = !ferror(file) && text->n < SCRIPT_BYTES_MAX;
  fclose(file);
  return ok;
}

static bool write_whole(const char *path, const struct bytes *text) {
  FILE *file = fopen(path, "w");
  if (file == NULL) return false;
  bool ok = fwrite(text->data, 1, text->n, file) == text->n;
  return fclose(file) == 0 && ok;
}

/* Without its newline. False at the end. */
static bool take_line(struct script *script, struct slice *line) {
  if (script->rest.n == 0) return false;
  const char *end = memchr(script->rest.at, '\n', script->rest.n);
  line->at = script->rest.at;
  line->n = end ? (size_t)(end - line->at) : script->rest.n;
  const size_t used = line->n + (end != NULL);
  script->rest.at += used;
  script->rest.n -= used;
  script->line++;
  return true;
}

static bool is_command(struct slice line) {
  return line.n > 1 && line.at[0] == '>' && line.at[1] == ' ';
}

/* Takes the lines up to the next command, comment or empty line. */
static struct slice take_told(struct script *script) {
  struct slice told = {script->rest.at, 0};
  for (;;) {
    struct script ahead = *script;
    struct slice line;
    if (!take_line(&ahead, &line) || line.n == 0 || line.at[0] == '#' || line.at[0] == '>') return told;
    script->rest = ahead.rest;
    script->line = ahead.line;
    told.n = (size_t)(script->rest.at - told.at);
  }
}

static void print_told(const char *title, struct slice told) {
  fprintf(stderr, "%s\n%.*s", title, (int)told.n, told.at);
  if (told.n == 0) fprintf(stderr, "  (nothing)\n");
}

static bool run_command(struct script *script, struct scenario *scenario, struct slice line) {
  const size_t number = script->line;
  char *command = strndup(line.at + 2, line.n - 2);
  assert_non_null(command);
  snprintf(place, sizeof place, "%s:%zu: %s", script->path, number, command);
  bool ok = scenario_command(scenario, command);
  free(command);
  if (!ok) {
    fprintf(stderr, "%s: %s\n", place, scenario->wrong);
    bytes_append_slice(&script->now, line);
    bytes_append_string(&script->now, "\n");
    return false;
  }
  const struct slice was = take_told(script), is = slice_of_bytes(&scenario->out);
  bytes_append_slice(&script->now, line);
  bytes_append_string(&script->now, "\n");
  bytes_append_slice(&script->now, is);
  if (!slice_equal(was, is) && !script->differs && !script->update) {
    fprintf(stderr, "%s\n", place);
    print_told("was to tell:", was);
    print_told("tells:", is);
  }
  script->differs = script->differs || !slice_equal(was, is);
  return true;
}

static bool run_lines(struct script *script, struct scenario *scenario) {
  struct slice line;
  bool any = false;
  while (take_line(script, &line)) {
    if (is_command(line)) {
      if (!run_command(script, scenario, line)) return false;
      any = true;
    } else if (line.n == 0 || line.at[0] == '#') {
      bytes_append_slice(&script->now, line);
      bytes_append_string(&script->now, "\n");
    } else {
      fprintf(stderr, "%s:%zu: neither a command nor told by one\n", script->path, script->line);
      return false;
    }
  }
  if (!any) fprintf(stderr, "%s: there is no command\n", script->path);
  return any;
}

bool script_run(const char *path, bool update) {
  struct script script = {.path = path, .update = update};
  struct scenario scenario;
  struct bytes text = {0};
  if (!read_whole(path, &text)) {
    perror(path);
    bytes_close(&text);
    return false;
  }
  script.rest = slice_of_bytes(&text);
  scenario_open(&scenario);
  bool ok = run_lines(&script, &scenario);
  scenario_close(&scenario);
  if (script.differs) {
    bytes_append_slice(&script.now, script.rest); /* what did not come to run */
    ok = update && write_whole(path, &script.now) && ok;
  }
  bytes_close(&text);
  bytes_close(&script.now);
  place[0] = '\0';
  return ok;
}

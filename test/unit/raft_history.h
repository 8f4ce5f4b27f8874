/* Raft's invariants, held against everything that a cluster of tests ever did (Figure 3.2 of the dissertation
 * and what this core promises beyond it):
 *
 *   - one leader per term, ever; terms never go back; (term, vote) is written once
 *   - log matching: entries with the same index and term are equal, and so are all before them
 *   - leader completeness: a new leader has every committed entry
 *   - the committed prefix is the same everywhere, never changes and is never truncated; commit never goes
 * back
 *   - a leader truncates nothing, and what it counts as matching is durable there
 *   - a leader commits only what is durable on a majority of the voters of the configuration in force, and
 * only entries of its own term by counting
 *   - consecutive configurations share a quorum; or the older has one voter, and the newer was durable in
 * that voter's log before anybody else got it
 *   - a snapshot holds a committed index, its term, and the configuration that was in force there; installing
 * one keeps the log after it exactly if that holds its last entry
 *   - a read that is ready has an index that reaches as far as anybody had committed when it began, and every
 * read has one outcome; none waits on when the role, the term or the leader changed
 *   - no message leaves before what it says is durable; persist sequences grow */
#ifndef CORACLE_TEST_RAFT_HISTORY_H
#define CORACLE_TEST_RAFT_HISTORY_H

#include "raft_cluster.h"

struct history;

struct history *history_new(void);
void history_free(struct history *);
/* The server took a step that succeeded; server->status is the one after it. */
void history_stepped(struct history *, const struct cluster *, const struct server *,
                     const struct coracle_raft_status *before, const struct coracle_raft_effects *);
/* The server was started with what was durable there. */
void history_restarted(const struct cluster *, const struct server *, const struct coracle_raft_effects *);
/* 0: not committed yet. */
uint64_t history_committed_term(const struct history *, uint64_t index);
/* What it waited for is forgotten. */
void history_crashed(struct history *, uint64_t server);
/* A read is about to begin; returns its number. */
uint64_t history_read_begins(struct history *, uint64_t server);
void history_read_refused(struct history *, uint64_t read);
enum read_outcome history_read_outcome(const struct history *, uint64_t read, uint64_t *index);
size_t history_reads_waiting(const struct history *);
/* The letter leaves the server now. */
void history_leaves(const struct cluster *, const struct server *, const struct letter *);

#endif

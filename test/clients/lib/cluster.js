// Three real coracle processes for the suites of a file: test/clients/serve_cluster.py, which keeps them.
//
//   const cluster = withCluster();          at the top of a test file; before and after it are seen to
//   cluster.leader.url, cluster.nodes

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { after, before } from 'node:test';

const SCRIPT = fileURLToPath(new URL('../serve_cluster.py', import.meta.url));

class Cluster {
  async start(options) {
    this.process = spawn(process.env.CORACLE_PYTHON ?? '/usr/bin/python3', ['-B', SCRIPT, ...options], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    this.ended = once(this.process, 'exit');
    this.lines = createInterface({ input: this.process.stdout })[Symbol.asyncIterator]();
    await this.listen();
  }

  async listen() {
    const { value, done } = await this.lines.next();
    if (done) throw new Error('serve_cluster.py gave no cluster');
    this.nodes = JSON.parse(value).nodes;
    this.leader = this.nodes.find((node) => node.leads);
    this.followers = this.nodes.filter((node) => !node.leads);
  }

  /** kill('a') or start('a'); returns when the rest have a leader. */
  async tell(command, name) {
    this.process.stdin.write(`${command} ${name}\n`);
    await this.listen();
  }

  async stop() {
    this.process.stdin.end();
    const [status] = await this.ended;
    if (status !== 0) throw new Error(`the cluster did not end well: ${status}`);
  }
}

export function withCluster(options = []) {
  const cluster = new Cluster();
  before(() => cluster.start(options));
  after(() => cluster.stop());
  return cluster;
}

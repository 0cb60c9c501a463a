#!/usr/bin/env node
// Writes or checks contracts/artifacts: ABI and creation bytecode of the contracts the Rust side deploys and calls.
//
//   node tools/artifacts.mjs write   rebuild and write
//   node tools/artifacts.mjs check   rebuild and compare; exits 1 naming each contract that differs
//
// The rebuild is always a full one, of src alone, into a folder of its own: compiler ids, and with them the order of
// generated code, depend on which files are compiled together.
import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const CONTRACTS = [
  'JobMarketplace',
  'NodeRegistry',
  'ModelRegistry',
  'GovernanceToken',
  'Timelock',
  'Governance',
  'CircuitBreaker',
  'ReputationSystem',
  'ProofSystem',
  'JobBoard',
  'HostSlashing',
  'AgentRegistry',
  'RelayToken',
  'RelayManager',
  'SessionAccount',
  'SessionAccountFactory',
  'BaseAccountIntegration',
  'SelfBatch',
  'TestUsdc',
];

// Functions of JobMarketplace that its own ABI does not name, as another contract's code is behind them.
const INTERFACES = ['IJobs'];

const repository = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const contracts = path.join(repository, 'contracts');
const artifacts = path.join(contracts, 'artifacts');

function build() {
  const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'capstan-artifacts-'));
  try {
    const require = createRequire(path.join(repository, '.tools', 'package.json'));
    const forge = path.join(path.dirname(require.resolve('@foundry-rs/forge/package.json')), 'bin.mjs');
    const args = [forge, 'build', '--force', '--skip', 'test', '--out', scratch, '--cache-path', `${scratch}.cache`];
    const run = spawnSync(process.execPath, args, { cwd: contracts, stdio: ['ignore', 'ignore', 'inherit'] });
    if (run.status !== 0) throw new Error('forge build failed');
    return Object.fromEntries([...CONTRACTS, ...INTERFACES].map((name) => [name, artifactOf(scratch, name)]));
  } finally {
    fs.rmSync(scratch, { recursive: true, force: true });
    fs.rmSync(`${scratch}.cache`, { recursive: true, force: true });
  }
}

function artifactOf(out, name) {
  const built = JSON.parse(fs.readFileSync(path.join(out, `${name}.sol`, `${name}.json`), 'utf8'));
  const abi = [...built.abi].sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1));
  if (INTERFACES.includes(name)) return `${JSON.stringify({ contractName: name, abi }, null, 2)}\n`;
  const bytecode = built.bytecode.object;
  if (!/^0x([0-9a-f]{2})+$/.test(bytecode)) throw new Error(`${name}: bytecode is empty or not linked`);
  const size = (built.deployedBytecode.object.length - 2) / 2;
  if (size > 24_576) throw new Error(`${name}: ${size} bytes of code exceed the limit of EIP-170`);
  return `${JSON.stringify({ contractName: name, abi, bytecode }, null, 2)}\n`;
}

/** Kind, name and argument types: no two entries of an ABI share all three. */
function keyOf(entry) {
  return `${entry.type} ${entry.name ?? ''}(${(entry.inputs ?? []).map((input) => input.type).join(',')})`;
}

function main(command) {
  if (command !== 'write' && command !== 'check') {
    console.error('usage: node tools/artifacts.mjs write|check');
    return 2;
  }
  let differing = 0;
  fs.mkdirSync(artifacts, { recursive: true });
  for (const [name, text] of Object.entries(build())) {
    const file = path.join(artifacts, `${name}.json`);
    if (command === 'write') {
      fs.writeFileSync(file, text);
    } else if (!fs.existsSync(file) || fs.readFileSync(file, 'utf8') !== text) {
      console.error(`${name}: contracts/artifacts/${name}.json differs from a rebuild`);
      differing += 1;
    }
  }
  if (differing > 0) console.error('run `node tools/artifacts.mjs write` and commit what it writes');
  return differing > 0 ? 1 : 0;
}

process.exitCode = main(process.argv[2]);

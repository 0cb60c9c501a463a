#!/usr/bin/env node
// Writes or checks verifier/Halo2Verifier.json: the bytecode of the committed verifier source, for tests to deploy.
//
//   node ezkl/compile.mjs write
//   node ezkl/compile.mjs check   compile again and compare; exits 1 where they differ
//
// The settings are those of foundry.toml, but for the IR pipeline, which runs out of stack in this source. So `forge`
// never sees it.
import { createRequire } from 'node:module';
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const SETTINGS = {
  evmVersion: 'prague',
  viaIR: false,
  optimizer: { enabled: true, runs: 100_000 },
  metadata: { bytecodeHash: 'none', appendCBOR: false },
  outputSelection: { '*': { Halo2Verifier: ['evm.bytecode.object', 'evm.deployedBytecode.object'] } },
};

const here = path.dirname(fileURLToPath(import.meta.url));
const source = path.join(here, 'verifier', 'Halo2Verifier.sol');
const target = path.join(here, 'verifier', 'Halo2Verifier.json');

function compile() {
  const require = createRequire(path.join(here, '..', '..', '.tools', 'package.json'));
  const solc = require('solc');
  const input = {
    language: 'Solidity',
    sources: { 'Halo2Verifier.sol': { content: fs.readFileSync(source, 'utf8') } },
    settings: SETTINGS,
  };
  const output = JSON.parse(solc.compile(JSON.stringify(input)));
  const errors = (output.errors ?? []).filter((error) => error.severity === 'error');
  if (errors.length > 0) throw new Error(errors.map((error) => error.formattedMessage).join('\n'));
  const { bytecode, deployedBytecode } = output.contracts['Halo2Verifier.sol'].Halo2Verifier.evm;
  const size = deployedBytecode.object.length / 2;
  if (size === 0 || size > 24_576) throw new Error(`${size} bytes of code cannot be deployed (EIP-170)`);
  const artifact = {
    contractName: 'Halo2Verifier',
    compiler: solc.version().split('+')[0],
    settings: { evmVersion: SETTINGS.evmVersion, viaIR: SETTINGS.viaIR, optimizerRuns: SETTINGS.optimizer.runs },
    bytecode: `0x${bytecode.object}`,
    deployedBytecode: `0x${deployedBytecode.object}`,
  };
  return `${JSON.stringify(artifact, null, 2)}\n`;
}

function main(command) {
  if (command === 'write') {
    fs.writeFileSync(target, compile());
    return 0;
  }
  if (command !== 'check') {
    console.error('usage: node ezkl/compile.mjs write|check');
    return 2;
  }
  if (fs.existsSync(target) && fs.readFileSync(target, 'utf8') === compile()) return 0;
  console.error('ezkl/verifier/Halo2Verifier.json is not what the source compiles to: node ezkl/compile.mjs write');
  return 1;
}

process.exitCode = main(process.argv[2]);

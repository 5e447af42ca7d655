import type {
  ExposeInstruction, MaintainerInstruction, StopsignalInstruction, UserInstruction, VolumeInstruction, WorkdirInstruction,
} from '../instruction.ts'
import { readJsonForm } from './json-form.ts'
import type { Statement } from './statement.ts'
import { argumentWords, onlyArgument, refuse, refuseWord, statementFlags } from './statement.ts'

export function parseWorkdir(statement: Statement): WorkdirInstruction {
  statementFlags(statement)
  return { kind: 'WORKDIR', ...statement.base, path: onlyArgument(statement, 'write WORKDIR /path') }
}

export function parseUser(statement: Statement): UserInstruction {
  statementFlags(statement)
  return { kind: 'USER', ...statement.base, user: onlyArgument(statement, 'write USER name, or USER uid:gid') }
}

export function parseStopsignal(statement: Statement): StopsignalInstruction {
  statementFlags(statement)
  return { kind: 'STOPSIGNAL', ...statement.base, signal: onlyArgument(statement, 'write STOPSIGNAL SIGTERM') }
}

export function parseMaintainer(statement: Statement): MaintainerInstruction {
  statementFlags(statement)
  return { kind: 'MAINTAINER', ...statement.base, author: onlyArgument(statement, 'write LABEL org.opencontainers.image.authors=…') }
}

export function parseExpose(statement: Statement): ExposeInstruction {
  statementFlags(statement)
  const ports = argumentWords(statement)
  if (ports.length === 0) refuse(statement, { rule: 'argument-count', problem: 'EXPOSE has no port', remedy: 'write EXPOSE 8080, or EXPOSE 53/udp' })
  return { kind: 'EXPOSE', ...statement.base, ports }
}

export function parseVolume(statement: Statement): VolumeInstruction {
  statementFlags(statement)
  const written = readJsonForm(statement) ?? argumentWords(statement)
  if (written.length === 0) refuse(statement, { rule: 'argument-count', problem: 'VOLUME has no path', remedy: 'write VOLUME /path' })
  const paths = written.map((word) => ({ ...word, text: word.text.trim() }))
  const empty = paths.find(({ text }) => text === '')
  if (empty !== undefined) refuseWord(statement, empty, { rule: 'volume', problem: 'VOLUME has an empty path', remedy: 'name a path' })
  return { kind: 'VOLUME', ...statement.base, paths }
}

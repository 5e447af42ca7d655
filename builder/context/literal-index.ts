/**
 * Finds which of many literals a text holds, in one pass over the text: the automaton of Aho and Corasick. Literals
 * are cut to a few characters, so an answer is only a candidate.
 */
export interface LiteralIndex {
  /** Calls back with the number of every literal in `text`, in no order, the same one perhaps several times. */
  find(text: string, found: (literal: number) => void): void
}

const maxNodes = 200_000

interface Node {
  readonly next: Map<number, Node>
  /** Where to go on when no character fits; undefined at the root. */
  fail: Node | undefined
  /** The nearest node along the failures that ends a literal. */
  output: Node | undefined
  readonly ends: number[]
}

/** `literals` are numbered by position; empty ones are never found. */
export function createLiteralIndex(literals: readonly string[]): LiteralIndex {
  const length = Math.max(1, Math.min(12, Math.floor(maxNodes / Math.max(1, literals.length))))
  const root = createNode()
  for (const [number, literal] of literals.entries()) if (literal !== '') insert(root, literal.slice(-length), number)
  link(root)
  return {
    find(text, found) {
      let node = root
      for (let position = 0; position < text.length; position += 1) {
        node = advance(root, node, text.charCodeAt(position))
        for (let end: Node | undefined = node; end !== undefined; end = end.output) {
          for (const number of end.ends) found(number)
        }
      }
    },
  }
}

function createNode(): Node {
  return { next: new Map(), fail: undefined, output: undefined, ends: [] }
}

function insert(root: Node, literal: string, number: number): void {
  let node = root
  for (let position = 0; position < literal.length; position += 1) {
    const code = literal.charCodeAt(position)
    const next = node.next.get(code) ?? createNode()
    node.next.set(code, next)
    node = next
  }
  node.ends.push(number)
}

/** Breadth first, so that what a node fails to is linked already. */
function link(root: Node): void {
  const queue = [...root.next.values()]
  for (const node of queue) node.fail = root
  for (const parent of queue) {
    for (const [code, node] of parent.next) {
      node.fail = advance(root, parent.fail ?? root, code)
      node.output = node.fail.ends.length > 0 ? node.fail : node.fail.output
      queue.push(node)
    }
  }
}

function advance(root: Node, from: Node, code: number): Node {
  for (let node: Node | undefined = from; node !== undefined; node = node.fail) {
    const next = node.next.get(code)
    if (next !== undefined) return next
  }
  return root
}

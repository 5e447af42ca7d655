import { createRandom, exercise, mutate, readCorpus } from '../test/support/dockerfile-fuzzer.ts'

/**
 * `node scripts/fuzz-dockerfile.ts [iterations] [seed]`: stops at the first text that crashes, hangs or is misread. With
 * `--max-old-space-size=96` it also shows that memory is bounded.
 */

const iterations = Number(process.argv[2] ?? 100_000)
const seed = Number(process.argv[3] ?? 1)
const corpus = readCorpus()
const random = createRandom(seed)
const counts = { read: 0, refused: 0 }
const started = performance.now()
let slowest = { milliseconds: 0, text: '' }

for (let iteration = 1; iteration <= iterations; iteration += 1) {
  const text = mutate(corpus, random)
  const before = performance.now()
  try {
    counts[exercise(text)] += 1
  } catch (error) {
    console.error(`iteration ${iteration} of seed ${seed} failed on ${JSON.stringify(text)}`)
    throw error
  }
  if (performance.now() - before > slowest.milliseconds) {
    const milliseconds = timeAgain(text)
    if (milliseconds > slowest.milliseconds) slowest = { milliseconds, text }
  }
  if (iteration % 500_000 === 0) report(iteration)
}
report(iterations)

/** The least of three: other processes and the collector have their share of a single time. */
function timeAgain(text: string): number {
  return Math.min(...[1, 2, 3].map(() => {
    const before = performance.now()
    exercise(text)
    return performance.now() - before
  }))
}

function report(done: number): void {
  const seconds = (performance.now() - started) / 1000
  const { rss } = process.memoryUsage()
  console.log(`${done} texts in ${seconds.toFixed(0)} s: ${counts.read} read, ${counts.refused} refused; ${Math.round(rss / 2 ** 20)} MiB; slowest ${slowest.milliseconds.toFixed(1)} ms for ${JSON.stringify(slowest.text.slice(0, 200))}`)
}

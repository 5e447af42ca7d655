/** Loaded before a program: its clock stands at TEST_CLOCK, in milliseconds since the epoch, or goes back and forth by a century. */
const clock = process.env['TEST_CLOCK'] ?? ''
const century = 3_155_760_000_000
const now = Date.now
let looks = 0

Date.now = (): number => {
  looks += 1
  return clock === 'jumping' ? now() + (looks % 2 === 0 ? century : -century) : Number(clock)
}
globalThis.Date = new Proxy(Date, {
  construct: (target, args: readonly unknown[], newTarget: typeof Date): object => Reflect.construct(target, args.length === 0 ? [Date.now()] : args, newTarget) as object,
})

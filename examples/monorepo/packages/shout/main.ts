import { greet } from '../greet/greet.js'

const loud: string = greet('monorepo').toUpperCase()
console.log(loud)

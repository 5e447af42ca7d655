import { describe, expect, it } from 'vitest'
import { listTargets, outlineTarget } from './outline.ts'
import { parseDockerfile } from './parse.ts'

const dockerfile = parseDockerfile({
  name: 'Dockerfile',
  text: `# VERSION of the base
ARG VERSION=1 UNUSED=2
ARG DISTRO=debian
ARG IMAGE=$DISTRO:$VERSION
# build compiles
FROM \${IMAGE} AS Build
ARG VERSION
# CGO switches C on
ARG CGO=0
RUN --mount=type=secret,id=token,required --mount=type=ssh x
FROM scratch AS other
ARG OTHER
RUN --mount=type=secret,id=other x
FROM --platform=linux/amd64 scratch
COPY --from=build a b
ARG CGO=5
RUN --mount=type=secret,id=token y
`,
})
const inputs = { buildArgs: new Map([['VERSION', '9']]), platformArgs: new Map<string, string>() }

describe('listTargets', () => {
  it('lists every stage with its description', () => {
    expect(listTargets(dockerfile).map(({ range, ...rest }) => ({ ...rest, line: range.startLine }))).toEqual([
      { name: 'build', index: 0, isDefault: false, base: '${IMAGE}', platform: undefined, description: 'compiles', line: 6 },
      { name: 'other', index: 1, isDefault: false, base: 'scratch', platform: undefined, description: undefined, line: 11 },
      { name: undefined, index: 2, isDefault: true, base: 'scratch', platform: 'linux/amd64', description: undefined, line: 14 },
    ])
  })
})

describe('outlineTarget', () => {
  it('lists what the stages behind the target take, with the values of this build', () => {
    const { target, args, secrets, ssh } = outlineTarget(dockerfile, undefined, inputs)
    expect(target).toEqual({ name: undefined, index: 2, description: undefined })
    expect(args.map(({ name, value, description }) => [name, value, description])).toEqual([['VERSION', '9', 'of the base'], ['DISTRO', 'debian', undefined], ['IMAGE', 'debian:9', undefined], ['CGO', '0', 'switches C on']])
    expect(secrets.map(({ id, isRequired }) => [id, isRequired])).toEqual([['token', true]])
    expect(ssh.map(({ id, isRequired }) => [id, isRequired])).toEqual([['default', false]])
  })

  it('leaves out what other targets take', () => {
    const { args, secrets } = outlineTarget(dockerfile, 'other', inputs)
    expect([args.map(({ name }) => name), secrets.map(({ id }) => id)]).toEqual([['OTHER'], ['other']])
  })
})

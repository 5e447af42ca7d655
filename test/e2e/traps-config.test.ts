import { describe, expect, it } from 'vitest'
import { useTrapBuilds } from '../support/trap-builds.ts'

/** Traps 25 to 37: what instructions make of the image's config. */

const { build, refusal } = useTrapBuilds('config')

describe('the image config', () => {
  it('25 ENTRYPOINT clears an inherited CMD', async () => {
    expect((await build('FROM busybox AS b\nCMD ["c"]\nFROM b\nENTRYPOINT ["e"]')).config.Cmd).toBeUndefined()
    expect((await build('CMD ["c"]\nENTRYPOINT ["e"]')).config).toMatchObject({ Cmd: ['c'], Entrypoint: ['e'] })
    expect((await build('ENTRYPOINT ["e"]\nCMD ["c"]\nENTRYPOINT []')).config).toMatchObject({ Cmd: ['c'], Entrypoint: [] })
  })

  it('26 the shell form uses SHELL', async () => {
    const { config, said } = await build('SHELL ["/bin/sh", "-ec"]\nRUN echo $-\nCMD x\nENTRYPOINT y')
    expect(said).toContain('e')
    expect(config).toMatchObject({ Shell: ['/bin/sh', '-ec'], Cmd: ['/bin/sh', '-ec', 'x'], Entrypoint: ['/bin/sh', '-ec', 'y'] })
    expect(await refusal('SHELL /bin/sh -c')).toContain('SHELL')
  })

  it('27 HEALTHCHECK', async () => {
    expect((await build('HEALTHCHECK NONE')).config.Healthcheck).toEqual({ Test: ['NONE'] })
    expect((await build('HEALTHCHECK --interval=5s --retries=0 CMD x')).config.Healthcheck).toEqual({ Test: ['CMD-SHELL', 'x'], Interval: 5e9 })
    expect(await refusal('HEALTHCHECK --interval=1us CMD x')).toContain('1us')
  })

  it('28 EXPOSE', async () => {
    expect(Object.keys((await build('EXPOSE 53/UDP 8000-8001 80 80/tcp 9/sctp')).config.ExposedPorts ?? {}).sort()).toEqual(['53/udp', '80/tcp', '8000/tcp', '8001/tcp', '9/sctp'])
  })

  it('29 STOPSIGNAL', async () => {
    expect((await build('STOPSIGNAL 9')).config.StopSignal).toBe('9')
    expect((await build('STOPSIGNAL term')).config.StopSignal).toBe('term')
    expect(await refusal('STOPSIGNAL SIGNOTHING')).toContain('SIGNOTHING')
  })

  it('30 the order of LABEL and ENV', async () => {
    const { config } = await build('ENV a=1 b=2\nENV a=3\nLABEL "x y"=1 z=1\nLABEL z=2')
    expect(config.Env?.filter((entry) => !entry.startsWith('PATH='))).toEqual(['a=3', 'b=2'])
    expect(config.Labels).toEqual({ 'x y': '1', z: '2' })
    expect(await refusal('ENV =x')).not.toBe('')
  })

  it('31 USER is resolved in the image at each RUN', async () => {
    const { said, config } = await build('RUN echo app:x:50:51::/home/app:/bin/sh >>/etc/passwd && echo extra:x:60:app >>/etc/group\nUSER app\nRUN id -u; id -g; id -G; echo $HOME\nUSER app:60\nRUN id -G\nUSER 4242\nRUN id -u; id -g')
    expect(said).toBe('50\n51\n51 60\n/home/app\n60\n4242\n0\n')
    expect(config.User).toBe('4242')
    expect(await refusal('USER nobodyknows\nRUN true')).toContain('nobodyknows')
  })

  it('32 WORKDIR', async () => {
    const { config, at, said } = await build('USER 5:6\nWORKDIR /made/by\nWORKDIR me/../you\nRUN pwd\nUSER root\nRUN rm -r /made\nRUN pwd')
    expect(config.WorkingDir).toBe('/made/by/you')
    expect(await at('/made/by/you')).toMatch(/^directory 755/u)
    expect(said).toBe('/made/by/you\n/made/by/you\n')
    expect(await (await build('USER 5:6\nWORKDIR /own/er')).at('/own/er')).toBe('directory 755 5:6')
    expect((await build('WORKDIR ~/x')).config.WorkingDir).toBe('/~/x')
  })

  it('33 PATH', async () => {
    expect((await build('FROM scratch\nENV a=1')).config.Env?.[0]).toMatch(/^PATH=.*\/usr\/bin/u)
    expect((await build('FROM busybox AS b\nENV PATH=/only\nFROM b\nENV x=1')).config.Env).toContain('PATH=/only')
  })

  it('34 VOLUME, and what is written there afterwards', async () => {
    const { at, config } = await build('VOLUME /v ["/w"]\nRUN mkdir -p /v && echo kept >/v/f\nCOPY a /v/', { files: { a: 'a' } })
    expect([await at('/v/f'), await at('/v/a')]).toEqual(['file 644 0:0 kept', 'file 644 0:0 a'])
    expect(Object.keys(config.Volumes ?? {})).toContain('/v')
    expect(await refusal('VOLUME [""]')).not.toBe('')
  })

  it('35 MAINTAINER sets the author alone', async () => {
    const { image, config } = await build('MAINTAINER Some Body <a@b.example>')
    expect(image.author).toBe('Some Body <a@b.example>')
    expect(config.Labels).toBeUndefined()
  })

  it('36 history', async () => {
    const { history, image } = await build('ARG v=1\nENV a=1\nRUN true\nCOPY a /\nWORKDIR /w', { files: { a: 'a' } })
    expect(history).toEqual(['  ARG v=1', '  ENV a=1', '* RUN |1 v=1 /bin/sh -c true', '* COPY a /', '* WORKDIR /w'])
    expect((image.history ?? []).filter(({ empty_layer: isEmpty }) => isEmpty !== true)).toHaveLength(image.rootfs.diff_ids.length)
  })

  it('37 a base with a config and no layers', async () => {
    const { list, config } = await build('FROM scratch AS bare\nENV a=1\nFROM bare\nCOPY a /', { files: { a: 'a' } })
    expect(await list('/')).toEqual(['a'])
    expect(config.Env).toContain('a=1')
    expect(await refusal('FROM scratch\nRUN true')).toContain('/bin/sh')
  })
})

import { describe, expect, it } from 'vitest'
import { expandTemplate, formatListing } from './template.ts'

const image = { Id: 'sha256:ab', Size: 5, Config: { Cmd: ['sh', '-c'], Labels: { b: '2', a: '1' }, User: '', Shell: null, Volumes: undefined } }

describe('a template', () => {
  it.each([
    ['{{.Id}}', 'sha256:ab'], ['{{ .Config.Cmd }}', '[sh -c]'], ['{{.Config.Labels}}', 'map[a:1 b:2]'], ['{{json .Config.Cmd}}', '["sh","-c"]'],
    ['a {{.Size}}\\t{{.Config.User}}|', 'a 5\t|'], ['{{index .Config.Cmd 1}}', '-c'], ['{{index .Config.Labels "b"}}', '2'], ['{{index .Config.Labels "c"}}|', '|'], ['{{.Config.Shell}}', '<no value>'], ['{{json .Config.Volumes}}', 'null'], ['{{json .}}', JSON.stringify(image)],
  ])('%s is written as Go writes it', (template, expected) => {
    expect(expandTemplate(template, image)).toBe(expected)
  })

  it.each([
    ['{{.Confg.Cmd}}', /no "Confg"; did you mean "Config"/u], ['{{range .Config.Cmd}}{{end}}', /not "\{\{range .Config.Cmd\}\}"/u], ['{{.Size.x}}', /no "x" in 5/u], ['{{index .Config.Cmd 7}}', /no "7"/u],
  ])('%s is refused', (template, message) => {
    expect(() => expandTemplate(template, image)).toThrow(message)
  })
})

describe('a listing', () => {
  const rows = [{ ID: 'a', Tag: 'latest' }, { ID: 'bcd', Tag: '1' }]
  const headings = { ID: 'IMAGE ID', Tag: 'TAG' }

  it('is a line for each row, JSON for each row, or a table', () => {
    expect(formatListing('{{.ID}}:{{.Tag}}', rows, headings)).toEqual(['a:latest', 'bcd:1'])
    expect(formatListing('json', rows, headings)).toEqual(['{"ID":"a","Tag":"latest"}', '{"ID":"bcd","Tag":"1"}'])
    expect(formatListing('table {{.Tag}}\\t{{.ID}}', rows, headings)).toEqual(['TAG      IMAGE ID\nlatest   a\n1        bcd'])
  })
})

type Child = Node | string | undefined

interface Properties {
  readonly [name: string]: string | number | boolean | (() => void) | undefined
}

/** An element with attributes, listeners (`onclick`) and children; what is undefined is left out. */
export function element<Tag extends keyof HTMLElementTagNameMap>(tag: Tag, properties: Properties, ...children: readonly Child[]): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(properties)) {
    if (typeof value === 'function') made.addEventListener(name.slice(2), value)
    else if (value !== undefined && value !== false) made.setAttribute(name, value === true ? '' : String(value))
  }
  made.append(...children.filter((child) => child !== undefined))
  return made
}

/** A part of the page with a heading, reached from its navigation. */
export function section(id: string, title: string, ...children: readonly Child[]): HTMLElement {
  return element('section', { id, 'aria-labelledby': `${id}-title` }, element('h2', { id: `${id}-title` }, title), ...children)
}

export function table(caption: string, head: readonly string[], rows: readonly (readonly Child[])[]): HTMLElement {
  return element('div', { class: 'scroll', tabindex: 0, role: 'region', 'aria-label': caption }, element('table', {},
    element('caption', { class: 'hidden' }, caption),
    element('thead', {}, element('tr', {}, ...head.map((name) => element('th', { scope: 'col' }, name)))),
    element('tbody', {}, ...rows.map((cells) => element('tr', {}, ...cells.map((cell) => element('td', {}, cell))))),
  ))
}

/** The icons of both pages and the logo mark, drawn as SVG lines on a 24-pixel grid. */

const namespace = 'http://www.w3.org/2000/svg'

const paths = {
  alert:
    'M12 8v5M12 16.5v.01M10.3 3.9 2.4 17.6a2 2 0 0 0 1.7 3h15.8a2 2 0 0 0 1.7-3L13.7 3.9a2 2 0 0 0-3.4 0Z',
  back: 'M15 5l-7 7 7 7',
  captions: 'M3 5.500h18v13H3zM10.500 10.600a2 2 0 1 0 0 2.800M17 10.600a2 2 0 1 0 0 2.800',
  check: 'M5 12.5l4.5 4.5L19 7',
  close: 'M6 6l12 12M18 6 6 18',
  copy: 'M9 9h10v11H9zM5 15V4h10',
  down: 'M5 9l7 7 7-7',
  download: 'M12 4v11M8 11.500l4 4 4-4M5 16v4h14v-4',
  expand: 'M4 9V4h5M15 4h5v5M20 15v5h-5M9 20H4v-5',
  eye: 'M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12ZM12 9.2a2.8 2.8 0 1 0 0 5.6 2.8 2.8 0 0 0 0-5.6Z',
  eyeOff:
    'M4 4l16 16M9.9 5.8A9 9 0 0 1 12 5.5c6 0 9.5 6.5 9.5 6.5a17 17 0 0 1-2.7 3.4M6.3 7.6A16.6 16.6 0 0 0 2.5 12S6 18.5 12 18.500a9.3 9.3 0 0 0 4-.9',
  forward: 'M9 5l7 7-7 7',
  film: 'M4 5h16v14H4zM8 5v14M16 5v14M4 9.500h4M4 14.500h4M16 9.500h4M16 14.500h4',
  keyboard: 'M3 6.500h18v11H3zM7 10h.01M11 10h.01M15 10h.01M8 14h8',
  muted: 'M4 9.500v5h3.500L12 18.500v-13L7.5 9.500zM16 9.500l5 5M21 9.500l-5 5',
  network:
    'M12 8.500a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM5.5 20.500a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM18.5 20.500a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5ZM10.8 8.2 6.7 15.800M13.2 8.200l4.1 7.600M8 18h8',
  pause: 'M8.5 5.500v13M15.5 5.500v13',
  pictureInPicture: 'M3 5.500h18v13H3zM12.500 12h6v4h-6z',
  play: 'M7 4.800v14.400L19 12z',
  plus: 'M12 5v14M5 12h14',
  replay: 'M5 5v5h5M5.500 10a7.500 7.500 0 1 1-.8 4.500',
  rename: 'M5 19l1-4L16.500 4.500l3 3L9 18zM14 7l3 3',
  settings:
    'M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6ZM10.300 3h3.400l.5 2.600 1.900 1.100 2.500-.9 1.700 3-2 1.700v3l2 1.700-1.700 3-2.500-.9-1.900 1.100-.5 2.600h-3.400l-.5-2.600-1.900-1.100-2.500.9-1.700-3 2-1.700v-3l-2-1.700 1.700-3 2.500.9 1.900-1.100z',
  share: 'M12 15V4M8 7.5 12 3.500l4 4M5 12.500V20h14v-7.5',
  shrink: 'M9 4v5H4M20 9h-5V4M15 20v-5h5M4 15h5v5',
  theatre: 'M3 6.500h18v11H3z',
  theatreOff: 'M3 5h18v14H3zM3 15h18',
  trash: 'M4.5 7h15M9.5 7V4.500h5V7M6.5 7l.8 13h9.400l.8-13M10 11v5.500M14 11v5.5',
  unplug:
    'M4 20l4-4M8.5 11.5 7 13a3 3 0 0 0 0 4 3 3 0 0 0 4 0l1.5-1.500zM12 8l1.5-1.500a3 3 0 0 1 4 0 3 3 0 0 1 0 4L16 12M16.5 7.5 20 4',
  upload: 'M12 15.500V4.500M8 8l4-4 4 4M5 16v4h14v-4',
  viewers:
    'M9 11.500a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7ZM2.5 19.500c.5-3.5 3-5.5 6.5-5.500s6 2 6.5 5.500M16 4.800a3.5 3.5 0 0 1 0 6.400M18 14.400c2 .7 3.2 2.5 3.5 5.1',
  volume:
    'M4 9.500v5h3.500L12 18.500v-13L7.5 9.500zM15.5 9a4.2 4.2 0 0 1 0 6M18 6.500a7.8 7.8 0 0 1 0 11',
} as const

/** The name of an icon. */
export type IconName = keyof typeof paths

/** An icon in the colour of the text around it, hidden from screen readers: the control that holds it has the name. */
export function icon(name: IconName): SVGSVGElement {
  const svg = create('svg', { viewBox: '0 0 24 24', 'aria-hidden': 'true' })
  svg.append(
    create('path', {
      d: paths[name],
      fill: name === 'play' ? 'currentColor' : 'none',
      stroke: 'currentColor',
      'stroke-width': name === 'pause' ? '3' : '1.8',
      'stroke-linecap': 'round',
      'stroke-linejoin': 'round',
    }),
  )
  return svg
}

/** The logo mark: a K whose ends are peers. */
export function logoMark(): SVGSVGElement {
  const svg = create('svg', { viewBox: '0 0 32 32', 'aria-hidden': 'true' })
  svg.append(
    create('path', {
      d: 'M7.5 6v20M7.5 16 23 6.600M7.5 16 23 25.4',
      fill: 'none',
      stroke: 'currentColor',
      'stroke-width': '3',
      'stroke-linecap': 'round',
    }),
    create('circle', { class: 'mark-node', cx: '24.5', cy: '6', r: '4' }),
    create('circle', { class: 'mark-node', cx: '24.5', cy: '26', r: '4' }),
    create('circle', { cx: '7.5', cy: '16', r: '3.8', fill: 'currentColor' }),
  )
  return svg
}

function create<K extends keyof SVGElementTagNameMap>(
  tag: K,
  attributes: Readonly<Record<string, string>>,
): SVGElementTagNameMap[K] {
  const element = document.createElementNS(namespace, tag)
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value)
  return element
}

// Two pictures side by side, as an enhancement over two images and links (templates/review/pictures.html):
// zoom, pan, turn, swipe, overlay, blink, brightness, contrast, grid, reset. Everything that is done is
// written into a list on the page and sent with the opinion. Nothing here knows more than the page shows.

const root = document.querySelector('[data-compare]')
if (root && window.OpenSeadragon) start(root)

// OpenSeadragon would add a style element, which the page's security policy refuses. It looks first whether
// there is one; this has the name it looks for and, being in no known namespace, is no style at all.
function satisfied() {
  const mark = document.createElementNS('urn:countersign', 'style')
  mark.setAttribute('data-openseadragon-mobile-css', '')
  document.head.append(mark)
}

function start(root) {
  satisfied()
  const OSD = window.OpenSeadragon
  const calm = window.matchMedia('(prefers-reduced-motion: reduce)').matches
  const sides = [...root.querySelectorAll('[data-side]')]
  const tools = root.querySelector('[data-compare-tools]')
  const tool = (name) => tools.querySelector(`[data-tool="${name}"]`)
  const viewers = {}
  const tones = { probe: { brightness: 0, contrast: 0 }, held: { brightness: 0, contrast: 0 } }
  const log = keeper(root)
  let together = true
  let following = false
  let view = 'side'
  let blinking = null

  for (const side of sides) {
    const src = side.dataset.src
    if (!src) continue
    side.querySelector('img').hidden = true
    const element = document.createElement('div')
    element.className = 'app-viewer'
    element.setAttribute('role', 'group')
    element.setAttribute('aria-label', `${side.dataset.label}: move, zoom and turn`)
    side.append(element)
    viewers[side.dataset.side] = open(OSD, element, src, side.dataset.label, calm)
  }
  const both = Object.values(viewers)
  root.querySelector('[data-compare-links]').hidden = true
  tools.hidden = false
  if (!viewers.held) {
    for (const e of tools.querySelectorAll('[data-view], [data-tool="together"], [data-for="held"]')) (e.closest('label') ?? e).hidden = true
    tools.querySelectorAll('.app-tools__tones')[1].hidden = true
    together = false
  }

  // ---- One picture follows the other: the same part, the same size, the same turn -----------------
  for (const [name, viewer] of Object.entries(viewers)) {
    viewer.addHandler('viewport-change', () => follow(viewer))
    const label = viewer.countersignLabel
    const say = (what) => log.say(`${together && both.length > 1 ? 'both' : name}-${what}`, () => {
      const who = together && both.length > 1 ? 'Both' : label
      const v = viewer.viewport
      if (what === 'zoom') return `${who}: zoom ${Math.round(100 * v.getZoom() / v.getHomeZoom())} %`
      if (what === 'turn') return `${who}: turned ${Math.round(((v.getRotation() % 360) + 360) % 360)}°`
      return `${who}: moved`
    })
    viewer.addHandler('zoom', () => { if (!following && viewer.countersignReady) say('zoom') })
    viewer.addHandler('rotate', () => { if (!following && viewer.countersignReady) say('turn') })
    viewer.addHandler('canvas-drag-end', () => say('move'))
    viewer.addHandler('canvas-key', (e) => {
      const key = e.originalEvent.key
      if (key.startsWith('Arrow')) say('move')
      if (key === '0') { e.preventDefaultAction = true; viewer.viewport.goHome(calm) }
    })
    viewer.addHandler('open', () => { setTimeout(() => { viewer.countersignReady = true }, 300) })
  }

  function follow(leader) {
    if (!together || following || both.length < 2) return
    following = true
    const from = leader.viewport
    for (const other of both) {
      if (other === leader || !other.isOpen()) continue
      const to = other.viewport
      to.setRotation(from.getRotation(), true)
      to.zoomTo(to.getHomeZoom() * from.getZoom() / from.getHomeZoom(), null, true)
      to.panTo(shifted(from, to), true)
    }
    following = false
  }

  function shifted(from, to) {
    // Heights differ with the pictures' shapes; the same share of each is the same place.
    const a = from.getHomeBounds().getCenter()
    const b = to.getHomeBounds().getCenter()
    const at = from.getCenter(true)
    const tall = b.y / a.y
    return new OSD.Point(b.x + (at.x - a.x), b.y + (at.y - a.y) * tall)
  }

  const leader = () => viewers.probe ?? viewers.held
  const shown = () => (together ? [leader()] : both)

  // ---- Buttons ------------------------------------------------------------------------------------
  tool('in').addEventListener('click', () => shown().forEach((v) => v.viewport.zoomBy(1.4, null, calm).applyConstraints(calm)))
  tool('out').addEventListener('click', () => shown().forEach((v) => v.viewport.zoomBy(1 / 1.4, null, calm).applyConstraints(calm)))
  tool('left').addEventListener('click', () => shown().forEach((v) => v.viewport.setRotation(v.viewport.getRotation() - 15, calm)))
  tool('right').addEventListener('click', () => shown().forEach((v) => v.viewport.setRotation(v.viewport.getRotation() + 15, calm)))
  tool('together').addEventListener('click', (e) => {
    together = press(e.currentTarget)
    log.say('together', () => (together ? 'Pictures move together' : 'Pictures move on their own'))
  })
  tool('grid').addEventListener('click', (e) => {
    const on = press(e.currentTarget)
    for (const v of both) v.element.classList.toggle('app-viewer--grid', on)
    log.say('grid', () => (on ? 'Grid on' : 'Grid off'))
  })
  tool('reset').addEventListener('click', () => {
    for (const v of both) {
      v.viewport.setRotation(0, true)
      v.viewport.goHome(true)
      v.element.classList.remove('app-viewer--grid')
    }
    for (const input of tools.querySelectorAll('[data-tone]')) {
      input.value = 0
      tones[input.dataset.for][input.dataset.tone] = 0
    }
    tool('grid').setAttribute('aria-pressed', 'false')
    paint()
    look('side')
    setTimeout(() => log.now('Both reset'), 0)
  })

  // ---- Tones --------------------------------------------------------------------------------------
  for (const input of tools.querySelectorAll('[data-tone]')) {
    input.addEventListener('input', () => {
      const { tone } = input.dataset
      const side = input.dataset.for
      tones[side][tone] = Number(input.value)
      paint()
      const label = side === 'probe' ? 'Image of the request' : 'Held image'
      log.say(`${side}-${tone}`, () => `${label}: ${tone} ${signed(input.value)} %`)
    })
  }

  function paint() {
    for (const [name, viewer] of Object.entries(viewers)) {
      const { brightness, contrast } = tones[name]
      const canvas = viewer.drawer?.canvas
      if (canvas) canvas.style.filter = brightness || contrast ? `brightness(${1 + brightness / 100}) contrast(${1 + contrast / 100})` : ''
    }
  }

  // ---- One over the other: swipe, overlay, blink --------------------------------------------------
  const mix = tool('mix')
  for (const button of tools.querySelectorAll('[data-view]')) {
    button.addEventListener('click', () => {
      look(button.dataset.view)
      log.now({ side: 'Side by side', swipe: 'Swiped one over the other', overlay: 'Overlaid', blink: 'Blinked' }[view])
    })
  }
  mix.addEventListener('input', () => {
    mixed()
    log.say('mix', () => `${view === 'swipe' ? 'Swipe' : 'Overlay'} at ${mix.value} %`)
  })

  // The held picture is laid over the other in the first viewer; faces are cropped alike, so they lie close.
  function look(next) {
    const held = viewers.held
    if (!held || !viewers.probe) return
    view = next
    clearInterval(blinking)
    blinking = null
    for (const b of tools.querySelectorAll('[data-view]')) b.setAttribute('aria-pressed', String(b.dataset.view === view))
    const over = view !== 'side'
    sides.find((s) => s.dataset.side === 'held').hidden = over
    root.querySelector('[data-compare-sides]').classList.toggle('app-compare--one', over)
    tools.querySelector('[data-mix]').hidden = !(view === 'swipe' || view === 'overlay')
    viewers.probe.viewport.goHome(true)
    const top = viewers.probe.world.getItemAt(1)
    if (!over) {
      if (top) top.setOpacity(0)
      return
    }
    if (top) return mixed()
    const src = sides.find((s) => s.dataset.side === 'held').dataset.src
    viewers.probe.addSimpleImage({ url: src, x: 0, y: 0, width: 1, opacity: 0, success: () => mixed() })
  }

  function mixed() {
    const top = viewers.probe.world.getItemAt(1)
    if (!top) return
    const share = Number(mix.value) / 100
    const size = top.getContentSize()
    top.setClip(view === 'swipe' ? new OSD.Rect(0, 0, Math.max(1, size.x * share), size.y) : null)
    top.setOpacity(view === 'side' ? 0 : view === 'overlay' ? share : 1)
    if (view === 'blink' && !blinking) {
      // Well below three flashes a second. Whoever asks for less motion changes it with each press.
      const turn = () => top.setOpacity(top.getOpacity() ? 0 : 1)
      if (calm) turn()
      else blinking = setInterval(turn, 800)
    }
  }
}

function open(OSD, element, url, label, calm) {
  const viewer = OSD({
    element,
    tileSources: { type: 'image', url },
    drawer: 'canvas',
    showNavigationControl: false,
    animationTime: calm ? 0 : 0.3,
    immediateRender: true,
    visibilityRatio: 0.3,
    minZoomImageRatio: 0.8,
    maxZoomPixelRatio: 16,
    // The wheel scrolls the page; buttons, keys and two fingers zoom.
    gestureSettingsMouse: { clickToZoom: false, dblClickToZoom: true, scrollToZoom: false }
  })
  viewer.countersignLabel = label
  viewer.canvas.setAttribute('role', 'application')
  viewer.canvas.setAttribute('aria-label', `${label}. Arrow keys move, plus and minus zoom, R turns, 0 shows it whole.`)
  return viewer
}

function press(button) {
  const on = button.getAttribute('aria-pressed') !== 'true'
  button.setAttribute('aria-pressed', String(on))
  return on
}

function signed(value) {
  return Number(value) > 0 ? `+${value}` : String(value)
}

/** The list on the page and the field that is sent. A movement is written once it has come to rest. */
function keeper(root) {
  const LINES_MAX = 60
  const list = root.querySelector('[data-compare-list]')
  const count = root.querySelector('[data-compare-count]')
  const field = document.querySelector('[data-compare-field]')
  const lines = field?.value ? field.value.split('; ') : []
  const waiting = new Map()
  const draw = () => {
    list.replaceChildren(...lines.map((text) => Object.assign(document.createElement('li'), { textContent: text })))
    count.textContent = lines.length
    if (field) field.value = lines.join('; ')
  }
  const now = (text) => {
    if (lines.at(-1) === text) return
    if (lines.length === LINES_MAX) lines.push('and more')
    if (lines.length > LINES_MAX) return
    lines.push(text)
    draw()
  }
  const settle = () => {
    for (const { timer, words } of waiting.values()) {
      clearTimeout(timer)
      now(words())
    }
    waiting.clear()
  }
  // What has not come to rest is written before the form goes.
  field?.form.addEventListener('submit', settle)
  draw()
  return {
    now,
    say(key, words) {
      clearTimeout(waiting.get(key)?.timer)
      const timer = setTimeout(() => { waiting.delete(key); now(words()) }, 600)
      waiting.set(key, { timer, words })
    }
  }
}

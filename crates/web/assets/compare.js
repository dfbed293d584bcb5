// Two pictures side by side, as an enhancement over two images and links (templates/review/pictures.html):
// zoom, pan, turn, swipe, overlay, blink, brightness, contrast, grid, reset. Everything that is done is written into a list on
// the page and sent with the opinion as steps (crates/casework/src/image_log.rs), by which the server draws the same again.
// Nothing here knows more than the page shows.

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
    const say = (what) => {
      const moved = together && both.length > 1 ? Object.entries(viewers) : [[name, viewer]]
      log.say(`${moved.length > 1 ? 'both' : name}-${what}`, () => moved.map(([side, v]) => (what === 'turn' ? turn(side, v) : part(side, v))))
    }
    viewer.addHandler('zoom', () => { if (!following && viewer.countersignReady) say('view') })
    viewer.addHandler('rotate', () => { if (!following && viewer.countersignReady) say('turn') })
    viewer.addHandler('canvas-drag-end', () => say('view'))
    viewer.addHandler('canvas-key', (e) => {
      const key = e.originalEvent.key
      if (key.startsWith('Arrow')) say('view')
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
  })
  tool('grid').addEventListener('click', (e) => {
    const on = press(e.currentTarget)
    for (const v of both) v.element.classList.toggle('app-viewer--grid', on)
    log.say('grid', () => [on ? 'g1' : 'g0'])
  })
  tool('reset').addEventListener('click', () => {
    log.settle()
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
    setTimeout(() => log.reset(), 0)
  })

  // ---- Tones --------------------------------------------------------------------------------------
  for (const input of tools.querySelectorAll('[data-tone]')) {
    input.addEventListener('input', () => {
      const { tone } = input.dataset
      const side = input.dataset.for
      tones[side][tone] = Number(input.value)
      paint()
      log.say(`${side}-tone`, () => [`${side[0]}t${tones[side].brightness}.${tones[side].contrast}`])
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
      // The pictures lie whole when they are arranged anew: what was done to them before is written first.
      log.settle()
      look(button.dataset.view)
      log.now([arranged()])
    })
  }
  mix.addEventListener('input', () => {
    mixed()
    log.say('mix', () => [arranged()])
  })

  function arranged() {
    return `a${view}.${view === 'swipe' || view === 'overlay' ? mix.value : 0}`
  }

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

/** The part of a picture that is seen, as a step: its magnification in percent, and its middle in thousandths. */
function part(side, viewer) {
  const v = viewer.viewport
  // The held picture may lie over it, so the first picture is asked and not the viewport.
  const picture = viewer.world.getItemAt(0)
  const size = picture.getContentSize()
  const middle = picture.viewportToImageCoordinates(v.getCenter())
  const within = (value, least, most) => Math.min(most, Math.max(least, Math.round(value)))
  const percent = within(100 * v.getZoom() / v.getHomeZoom(), 100, 1600)
  return `${side[0]}v${percent}.${within(1000 * middle.x / size.x, 0, 1000)}.${within(1000 * middle.y / size.y, 0, 1000)}`
}

function turn(side, viewer) {
  return `${side[0]}r${((Math.round(viewer.viewport.getRotation()) % 360) + 360) % 360}`
}

/** A step in words, as the server says it. */
function words(step) {
  const who = { p: 'Image of the request', h: 'Held image' }[step[0]]
  const [a, b, c] = step.slice(2).split('.').map(Number)
  const signed = (n) => (n < 0 ? n : `+${n}`)
  if (step === 'x') return 'Both reset'
  if (step[0] === 'g') return step === 'g1' ? 'Grid on' : 'Grid off'
  if (step[0] === 'a') {
    const [how, percent] = step.slice(1).split('.')
    return { side: 'Side by side', swipe: `Swiped one over the other, at ${percent} %`, overlay: `Overlaid, at ${percent} %`, blink: 'Blinked' }[how]
  }
  if (step[1] === 'v') return `${who}: zoom ${a} %, the middle ${(b / 10).toFixed(1)} % across and ${(c / 10).toFixed(1)} % down`
  if (step[1] === 'r') return `${who}: turned ${a}°`
  return `${who}: brightness ${signed(a)} %, contrast ${signed(b)} %`
}

/** The list on the page and the field that is sent. A movement is written once it has come to rest. */
function keeper(root) {
  const STEPS_MAX = 150
  // How a picture lies before anything is done to it; the viewers say so themselves when they open.
  const WHOLE = /^[ph]v100\.500\.500$/
  const list = root.querySelector('[data-compare-list]')
  const count = root.querySelector('[data-compare-count]')
  const field = document.querySelector('[data-compare-field]')
  const steps = field?.value ? field.value.split('_') : []
  const waiting = new Map()
  const kind = (step) => (step[0] === 'p' || step[0] === 'h' ? step.slice(0, 2) : step[0])
  const draw = () => {
    list.replaceChildren(...steps.map((step) => Object.assign(document.createElement('li'), { textContent: words(step) })))
    count.textContent = steps.length
    if (field) field.value = steps.join('_')
  }
  const now = (made) => {
    for (const step of made) {
      const before = steps.findLast((s) => kind(s) === kind(step) || s === 'x')
      if (before === step || ((!before || before === 'x') && WHOLE.test(step))) continue
      steps.push(step)
      // What a later step of its kind made of no effect goes first.
      if (steps.length > STEPS_MAX) steps.splice(steps.findIndex((s, at) => steps.slice(at + 1).some((later) => kind(later) === kind(s))), 1)
    }
    draw()
  }
  const settle = () => {
    for (const { timer, made } of waiting.values()) {
      clearTimeout(timer)
      now(made())
    }
    waiting.clear()
  }
  // What has not come to rest is written before the form goes.
  field?.form.addEventListener('submit', settle)
  // Steps of before were drawn on another page; these pictures begin as they are.
  if (steps.length && steps.at(-1) !== 'x') steps.push('x')
  draw()
  return {
    now,
    settle,
    reset() {
      for (const { timer } of waiting.values()) clearTimeout(timer)
      waiting.clear()
      now(['x'])
    },
    say(key, made) {
      clearTimeout(waiting.get(key)?.timer)
      const timer = setTimeout(() => { waiting.delete(key); now(made()) }, 600)
      waiting.set(key, { timer, made })
    }
  }
}

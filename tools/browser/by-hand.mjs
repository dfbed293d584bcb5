// Brings a request quickly to where a page of it is to be looked at. A hand is a person without a browser: it
// opens the same pages and sends the same forms as a browser without scripts would, so nothing is reached that
// a person could not reach, and nothing is drawn that nobody looks at.
//
//   const sam = await hand(h, 'Sam Okafor')
//   const id = await submitted(h, { investigation: 'NS/2026/0700' })
//   await compared(h, id, { 'Mei Lin': [true], 'Owen Clarke': [false] })

import assert from 'node:assert/strict'
import { File } from 'node:buffer'
import { readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

/** The sample photographs. On sample3.jpg face 2 is held by the passport gallery, face 1 by none. */
export const photograph = (name) => join(root, 'node_modules/@vladmandic/face-api/demo', name)

const plain = (text) => text.replace(/&#x2[fF];/g, '/').replace(/&#x27;|&#39;/g, '’').replace(/&quot;/g, '"').replace(/&lt;/g, '<').replace(/&gt;/g, '>').replace(/&amp;/g, '&')
const words = (html) => plain(html.replace(/<[^>]+>/g, ' ').replace(/\s+/g, ' ')).trim()
const attribute = (tag, name) => plain(tag.match(new RegExp(`\\s${name}="([^"]*)"`))?.[1] ?? '')

/** How often an answer that it was too many requests at once is waited out, a second each time. */
const WAITS_MAX = 30

/** A signed-in person without a browser, the same one each time. */
export async function hand(h, name) {
  h.hands ??= new Map()
  if (!h.hands.has(name)) h.hands.set(name, signedIn(h, name))
  return h.hands.get(name)
}

async function signedIn(h, name) {
  const self = new Hand(h)
  const page = await self.get('/sign-in')
  const button = page.html.match(new RegExp(`<button[^>]*value="([^"]+)"[^>]*>(?:(?!</button>)[\\s\\S])*as ${name},`))
  assert.ok(button, `nobody in the demo is called ${name}`)
  await self.send('/sign-in', { person: button[1] })
  self.id = button[1]
  return self
}

class Hand {
  constructor(h) {
    this.h = h
    this.cookie = ''
  }

  async ask(path, options = {}) {
    let answer
    for (let waits = 0; waits <= WAITS_MAX; waits++) {
      answer = await fetch(this.h.url(path), { redirect: 'manual', ...options, headers: { cookie: this.cookie, origin: this.h.base } })
      if (answer.status !== 429) break
      await new Promise((resolve) => setTimeout(resolve, 1000))
    }
    const cookie = answer.headers.get('set-cookie') // there is one, of the session
    if (cookie) this.cookie = cookie.split(';')[0]
    const to = answer.headers.get('location')
    return { path: to ?? path, status: answer.status, html: to ? '' : await answer.text() }
  }

  async get(path) {
    const answer = await this.ask(path)
    return answer.status === 303 ? this.get(answer.path) : answer
  }

  /** What a page says. */
  async read(path) {
    const page = await this.get(path)
    return words(page.html.match(/<main[\s\S]*<\/main>/)?.[0] ?? page.html)
  }

  /**
   * Opens a page, fills its form in and sends it; `to` is the end of the form's address where a page has several.
   * A form that was taken leads elsewhere (303, the default); one that asks to be checked is a page (200).
   */
  async send(path, fields = {}, { to = '', expect = 303 } = {}) {
    const page = await this.get(path)
    const forms = [...page.html.matchAll(/<form\b[^>]*>[\s\S]*?<\/form>/g)].map((m) => m[0])
    const form = forms.find((f) => attribute(f, 'method') === 'post' && !attribute(f, 'action').endsWith('/sign-out') && attribute(f, 'action').endsWith(to))
    assert.ok(form, `${page.path} (${page.status}) has no form to send: ${words(page.html).slice(0, 800)}`)
    const upload = attribute(form, 'enctype') === 'multipart/form-data'
    const body = upload ? new FormData() : new URLSearchParams()
    for (const [input] of form.matchAll(/<input\b[^>]*type="hidden"[^>]*>/g)) body.append(attribute(input, 'name'), attribute(input, 'value'))
    for (const [name, given] of Object.entries(fields)) {
      for (const value of [given].flat()) {
        if (value instanceof Blob) body.append(name, value, value.name)
        else body.append(name, value)
      }
    }
    const answer = await this.ask(attribute(form, 'action') || page.path, { method: 'POST', body })
    assert.equal(answer.status, expect, `${page.path}: ${words(answer.html.match(/govuk-error-summary[\s\S]*?<\/ul>/)?.[0] ?? answer.html).slice(0, 800)}`)
    return answer
  }
}

const REASONS = 'What the force says was read and weighed.'
const CRITERIA = ['importance', 'connection', 'image-usable', 'biography', 'exhausted', 'balance', 'threshold', 'extent', 'rights']
const APPROVERS = { 'Sam Okafor': 'Helen Marsh', 'Tom Reid': 'Helen Marsh', 'Alex Byrne': 'Morgan Hale' }

/** A request that was sent and approved: its id. Each image is a photograph and the number of the face on it. */
export async function submitted(h, { investigation, by = 'Sam Okafor', nationality = 'british', images = [['sample3.jpg', 2]], vulnerable = '' }) {
  const police = await hand(h, by)
  const draft = (await police.send('/intake', {}, { to: '/intake/new' })).path
  const section = (n, fields) => police.send(`${draft}/${n}`, fields)
  const foreign = nationality === 'foreign'
  await section(1, { investigation })
  await section(2, { nationality, ...(foreign ? { 'fingerprints-held': 'no' } : {}) })
  await section(3, { purposes: 'serious-crime', 'purpose-words': 'A name would let us find the person before it happens again.', mode: 'unidentified' })
  await section(4, {
    offence: 'A robbery at a cash machine. The victim was pushed to the ground.', 'sexual-offence': 'no', 'two-years': 'yes', involves: 'violence',
    'people-affected': 'One person; two like it that week.', harm: 'A broken wrist.'
  })
  for (const [file, face] of images) {
    const image = new File([readFileSync(photograph(file))], basename(file), { type: 'image/jpeg' })
    await police.send(`${draft}/5`, { images: image }, { to: '/images' })
    const { html } = await police.get(`${draft}/5`)
    const last = [...html.matchAll(/action="([^"]*\/images\/[^"]+)"/g)].at(-1)[1]
    await police.send(`${draft}/5`, { face, source: 'unsupervised' }, { to: plain(last) })
  }
  await section(6, { person: 'About 30, local accent.' })
  await section(7, { 'own-databases': 'Custody images: nothing.', 'other-databases': 'PND: nothing.', 'other-enquiries': 'House to house: nothing.' })
  await section(8, vulnerable ? { vulnerable: 'yes', 'vulnerable-words': vulnerable } : { vulnerable: 'no' })
  const { html } = await police.get(`${draft}/9`)
  const declarations = [...html.matchAll(/<input[^>]*name="declarations"[^>]*>/g)].map((m) => attribute(m[0], 'value'))
  await section(9, { urgent: 'no', declarations })
  const id = (await police.send(`${draft}/check`, {}, { to: '/send' })).path.split('/')[3]
  await (await hand(h, APPROVERS[by])).send(`/intake/approval/${id}/approve`)
  return id
}

/** Answers whatever is asked before a case is shown: no conflict of interest; the interruption card. */
export async function opened(staff, id) {
  for (const [question, answer] of [['/open', { conflict: 'no' }], ['/acknowledge', {}]]) {
    const { html } = await staff.get(`/assess/${id}`)
    if (html.includes(`action="/assess/${id}${question}"`)) await staff.send(`/assess/${id}`, answer, { to: question })
  }
  return staff
}

/** Gives requests to somebody by name, as the leader of their team. */
export async function allocated(leader, to, ids, reason = 'Allocated by name.') {
  const { html } = await leader.send('/assess/team/allocate', { request: ids, to: to.id, reason }, { expect: 200 })
  const fields = [...html.matchAll(/<input\b[^>]*type="hidden"[^>]*>/g)].map((m) => [attribute(m[0], 'name'), attribute(m[0], 'value')])
  const answer = await leader.ask('/assess/team/allocate', { method: 'POST', body: new URLSearchParams([...fields, ['step', 'confirm']]) })
  assert.equal(answer.status, 303, words(answer.html).slice(0, 600))
}

/** Somebody's hand that holds the request: taken from the queue, or allocated by the leader if it is sensitive. */
export async function taken(h, id, by = 'Asha Verma', leader = null) {
  const staff = await hand(h, by)
  if (leader) await allocated(await hand(h, leader), staff, [id])
  return opened(staff, id)
}

/** Findings on an image, all met, as the form sends them. */
export function findings({ basis, handling = 'ordinary' }) {
  const all = { 'legal-basis': basis, purposes: 'serious-crime', 'sexual-offence': 'no', 'two-years': 'yes', involves: 'violence', 'section-8-read': 'yes', handling }
  for (const c of CRITERIA) Object.assign(all, { [`met-${c}`]: 'yes', [`reasons-${c}`]: REASONS })
  return all
}

/** The address of each image's assessment that is still to be made. */
async function unassessed(staff, id) {
  const { path, html } = await staff.get(`/assess/${id}/assessment`)
  const links = [...html.matchAll(/href="([^"]*\/assessment\/[^"]+)"/g)].map((m) => plain(m[1]))
  return /\/assessment\/./.test(path) ? [path] : [...new Set(links)]
}

const basisOn = (html) => attribute(html.match(/<input[^>]*name="legal-basis"[^>]*>/)[0], 'value')

/** Every image of a request that somebody holds, authorised: the addresses where each search is started. */
export async function authorised(staff, id, { handling } = {}) {
  const starts = []
  for (const address of await unassessed(staff, id)) {
    const { html } = await staff.get(address)
    await staff.send(address, { ...findings({ basis: basisOn(html), handling }), decision: 'authorise', step: 'confirm' })
    starts.push(`/search/${id}/start/${address.split('/').at(-1)}`)
  }
  return starts
}

/** Every image of a request that somebody holds, authorised and searched. */
export async function searched(staff, id, options) {
  for (const start of await authorised(staff, id, options)) await staff.send(start)
}

/** Every image of a request that somebody holds, declined: the threshold is not met. */
export async function declined(staff, id, explanation) {
  for (const address of await unassessed(staff, id)) {
    const { html } = await staff.get(address)
    const found = { ...findings({ basis: basisOn(html) }), 'met-threshold': 'no', 'two-years': 'no', involves: [] }
    await staff.send(address, { ...found, decision: 'decline', explanation, step: 'confirm' })
  }
}

/** The answer of a request, sent to whoever made it. */
export async function sent(staff, id) {
  await staff.send(`/respond/${id}/send`, { confirmed: 'yes', step: 'confirm' })
}

/** The addresses of an examiner's comparisons of a request that are not finished, one an image, taken up now if need be. */
export async function takenUp(examiner, id) {
  const addresses = async () => {
    const { html } = await examiner.get('/review')
    return [...html.matchAll(new RegExp(`href="(/review/${id}/[^"/]+)(/take-up)?"`, 'g'))].map((m) => [m[1], Boolean(m[2])])
  }
  for (const [address, open] of await addresses()) if (open) await examiner.send(`${address}/take-up`, { conflict: 'no' })
  return (await addresses()).map(([address]) => address)
}

/** One examiner's whole work on every image of a request: `same` is what they see where there is a picture. */
export async function examined(examiner, id, same) {
  const sheets = await takenUp(examiner, id)
  assert.ok(sheets.length > 0, 'nothing waits for this examiner')
  const candidates = async (sheet, ending) => {
    const { html } = await examiner.get(sheet)
    return [...html.matchAll(new RegExp(`href="(${sheet}/[0-9a-f-]{36}${ending})"`, 'g'))].map((m) => m[1])
  }
  const seen = new Map()
  for (const sheet of sheets) {
    for (const address of await candidates(sheet, '')) {
      const picture = !(await examiner.read(address)).includes('no picture')
      seen.set(address, picture && same)
      const conclusion = !picture ? 'cannot-say' : same ? 'strongly-same' : 'different'
      await examiner.send(address, { 'part-nose': same ? 'alike' : 'different', conclusion, words: 'Looked at part by part.', action: 'lock' })
    }
  }
  for (const sheet of sheets) {
    for (const address of await candidates(sheet, '/informed')) {
      await examiner.send(address, { same: seen.get(address.replace('/informed', '')) ? 'yes' : 'no', reasons: 'The record agrees with what I saw.' })
    }
  }
}

/** Waits until the candidates whom nobody confirmed are erased: a worker's step, which makes an open form of the request old. */
export async function settled(staff, id) {
  for (let tries = 0; tries < 40; tries++) {
    if ((await staff.read(`/assess/${id}/history`)).includes('Erased: candidates')) return
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  assert.fail('the candidates were not erased')
}

/** The form that has URLs read into the cache, at once or at a quiet time of the day. */

import { h, setText } from '../../shared/dom.ts'
import { field, select, textInput } from '../field.ts'
import { createProblemLine, type ProblemLine } from '../problem-line.ts'
import { describeUtc, problemOf, urlsOf } from './fill-words.ts'

/** Orders URLs and shows a refusal in the line; whether they were taken. */
export type OrderFills = (
  urls: readonly string[],
  between: string,
  problem: ProblemLine,
) => Promise<boolean>

/** Creates the form. */
export function createFillForm(order: OrderFills): HTMLFormElement {
  const urls = h('textarea', {
    ...{ class: 'input', rows: 3, required: true, autocomplete: 'off', spellcheck: 'false' },
    placeholder: 'https://shop.example/big.mp4',
  })
  const when = select([
    ['', 'At once'],
    ['quiet', 'At a quiet time'],
  ])
  const from = textInput({ type: 'time', required: true, value: '01:00' })
  const to = textInput({ type: 'time', required: true, value: '06:00' })
  const utc = describeUtc(-new Date().getTimezoneOffset())
  const times = [field('From', from, utc), field('Until', to, 'Every day, until all are read.')]
  const problem = createProblemLine()
  const submit = h('button', { class: 'button', type: 'submit' }, 'Read into the cache')
  const showTimes = () => {
    const isQuiet = when.value === 'quiet'
    for (const each of times) each.hidden = !isQuiet
    for (const input of [from, to]) input.disabled = !isQuiet
  }
  when.addEventListener('change', showTimes)
  showTimes()
  const urlField = field('URLs', urls, 'One a line, of hosts that a rule above is for.')
  urlField.classList.add('form-wide')
  problem.element.classList.add('form-wide')
  const form = h(
    'form',
    { class: 'options-form' },
    urlField,
    field('When', when),
    ...times,
    problem.element,
    h('div', { class: 'options-save' }, submit),
  )
  form.addEventListener('submit', (event) => {
    event.preventDefault()
    const typed = urlsOf(urls.value)
    const wrong = problemOf(typed)
    problem.show(wrong)
    if (wrong !== undefined) return urls.focus()
    submit.disabled = true
    setText(submit, 'Ordering…')
    const between = when.value === 'quiet' ? `${from.value}-${to.value}` : ''
    void order(typed, between, problem).then((taken) => {
      if (taken) urls.value = ''
      submit.disabled = false
      setText(submit, 'Read into the cache')
    })
  })
  return form
}

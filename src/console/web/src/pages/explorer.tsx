/** The API explorer: a form made from the server's own description, the signed request, and the answer. */
import { useMemo, useState } from 'preact/hooks';
import { serverNow } from '../api/client';
import { session } from '../api/session';
import { canonical, signed, stringToSign } from '../api/sign';
import { actions, type Action, type Param } from '../api/spec';
import { lang, t } from '../i18n';
import { link, place } from '../router';
import { Button, Copyable, SelectField, TextField } from '../ui/form';
import { Choice, Head } from '../ui/head';
import { Badge, Empty, Tag } from '../ui/show';

export function Explorer() {
  const [find, setFind] = useState('');
  const all = [...actions.value.values()];
  const chosen = actions.value.get(place.value.id);
  const words = find.toLowerCase();
  const shown = all.filter((a) => `${a.name} ${a.doc} ${a.zh}`.toLowerCase().includes(words));
  const tags = [...new Set(shown.map((a) => a.tag))];
  if (all.length === 0) return <Empty icon="explorer" title={t('explorer.none')} text={t('explorer.noneText')} />;
  return (
    <>
      <Head title={t('page.explorer')} text={t('explorer.text')}>
        <a class="button plain" href="/reference" target="_blank" rel="noreferrer">{t('explorer.reference')}</a>
      </Head>
      <div class="with-tree explorer">
        <nav class="card tree" aria-label={t('page.explorer')}>
          <input type="search" placeholder={t('explorer.find')} aria-label={t('explorer.find')} value={find} onInput={(e) => setFind(e.currentTarget.value)} />
          {tags.map((tag) => (
            <section key={tag}>
              <h2>{lang.value === 'zh' ? shown.find((a) => a.tag === tag)?.tagZh : tag}</h2>
              {shown.filter((a) => a.tag === tag).map((a) => <a key={a.name} href={link('explorer', a.name)} aria-current={a.name === chosen?.name ? 'page' : undefined}>{a.name}</a>)}
            </section>
          ))}
        </nav>
        {chosen ? <Try key={chosen.name} action={chosen} /> : <div class="card"><Empty icon="explorer" title={t('explorer.choose')} text={t('explorer.chooseText')} /></div>}
      </div>
    </>
  );
}

interface Answer { status: number; ms: number; text: string; id: string }

function Try({ action }: { action: Action }) {
  const [values, setValues] = useState<Record<string, string>>({});
  const [method, setMethod] = useState('GET');
  const [answer, setAnswer] = useState<Answer | null>(null);
  const [busy, setBusy] = useState(false);
  const [turn, setTurn] = useState(0);
  const key = session.value?.key ?? { id: '', secret: '' };
  const given = useMemo(() => Object.fromEntries(Object.entries(values).filter(([, v]) => v !== '')), [values]);
  // A nonce is good for one call: each one gets a request of its own.
  const request = useMemo(() => signed(method, action.name, given, key, serverNow()), [method, action, given, turn]);
  const { Signature, ...unsigned } = request;
  const base = `${location.origin}/`;
  const query = `${canonical(unsigned)}&Signature=${encodeURIComponent(Signature)}`;
  const curl = method === 'GET' ? `curl '${base}?${query}'` : `curl -X POST '${base}' -d '${query}'`;
  const send = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    const began = performance.now();
    try {
      const form = { method: 'POST', body: query, headers: { 'Content-Type': 'application/x-www-form-urlencoded' } };
      const got = await fetch(method === 'GET' ? `/?${query}` : '/', method === 'GET' ? { cache: 'no-store' } : form);
      const text = await got.text();
      setAnswer({ status: got.status, ms: performance.now() - began, text: pretty(text), id: got.headers.get('X-Request-Id') ?? '' });
    } catch (e) {
      setAnswer({ status: 0, ms: performance.now() - began, text: String(e), id: '' });
    }
    setTurn(turn + 1);
    setBusy(false);
  };
  const text = (doc: { doc: string; zh: string }) => (lang.value === 'zh' ? doc.zh : doc.doc);
  return (
    <div class="stack">
      <form class="card" onSubmit={(e) => void send(e)}>
        <header>
          <h2>{action.name}</h2>
          {action.operator && <Tag>{t('explorer.operator')}</Tag>}
        </header>
        <p class="muted pad">{text(action)}</p>
        <div class="fields">
          {action.params.map((p) => <ParamField key={p.name} param={p} doc={text(p)} value={values[p.name] ?? ''} onChange={(v) => setValues({ ...values, [p.name]: v })} />)}
        </div>
        <footer>
          <Choice label={t('explorer.method')} value={method} onChange={setMethod} options={[['GET', 'GET'], ['POST', 'POST']]} />
          <Button type="submit" kind="primary" icon="play" busy={busy}>{t('explorer.send')}</Button>
        </footer>
      </form>
      {answer && (
        <section class="card">
          <header>
            <h2>{t('explorer.answer')}</h2>
            <span class="row">
              <Badge tone={answer.status === 200 ? 'good' : 'bad'}>{answer.status || '–'}</Badge>
              <span class="muted small">{Math.round(answer.ms)} ms</span>
            </span>
          </header>
          <pre class="answer" tabIndex={0}>{answer.text}</pre>
          {answer.id && <p class="hint">RequestId <code>{answer.id}</code></p>}
        </section>
      )}
      <section class="card">
        <h2>{t('explorer.request')}</h2>
        <p class="hint">{t('explorer.requestText')}</p>
        <h3>StringToSign</h3>
        <pre tabIndex={0}>{stringToSign(method, unsigned)}</pre>
        <h3>Signature</h3>
        <Copyable text={Signature} />
        <h3>curl</h3>
        <Copyable text={curl} />
      </section>
    </div>
  );
}

function ParamField({ param, doc, value, onChange }: { param: Param; doc: string; value: string; onChange: (v: string) => void }) {
  const options = param.values.length > 0 ? param.values : param.type === 'boolean' ? ['true', 'false'] : [];
  if (options.length > 0) {
    return <SelectField label={param.name} hint={doc} required={param.required} value={value} onChange={onChange} options={[{ value: '', label: param.preset ? `(${param.preset})` : '–' }, ...options.map((v) => ({ value: v, label: v }))]} />;
  }
  return <TextField label={param.name} hint={doc} required={param.required} value={value} onChange={onChange} mono placeholder={param.preset || param.example} type={param.format === 'password' ? 'password' : 'text'} autocomplete="off" />;
}

function pretty(text: string): string {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

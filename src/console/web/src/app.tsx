/** The frame around the pages: menu, title, language, theme, signing out. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { callAs } from './api/client';
import { keep, leave, session, stored } from './api/session';
import { actions, has, readSpec } from './api/spec';
import { lang, setLang, t, word } from './i18n';
import { PAGES, type Page } from './pages';
import { isOperator, SignIn } from './pages/signin';
import { link, place } from './router';
import { AlarmWatch } from './ui/alarm-watch';
import { Button } from './ui/form';
import { Icon } from './ui/icon';
import { Busy, Empty, Notes } from './ui/show';
import { dark, setTheme } from './ui/theme';

const SECTIONS = ['watch', 'sources', 'archive', 'insight', 'admin'] as const;

const offered = (page: Page) => (!page.needs || page.needs.some(has)) && (!page.operator || session.value?.operator === true);

export function App() {
  const [ready, setReady] = useState(false);
  useEffect(() => {
    document.documentElement.lang = lang.value === 'zh' ? 'zh-CN' : 'en';
  }, [lang.value]);
  useEffect(() => {
    const begin = async () => {
      const spec = readSpec().catch(() => undefined);
      const key = stored();
      if (key) {
        await spec;
        const operator = await callAs(key, 'DescribeGroups', { PageSize: 1 }).then(() => isOperator(key)).catch(() => null);
        if (operator !== null) keep({ key, operator }, true);
        else leave();
      }
      setReady(true);
    };
    void begin();
  }, []);
  if (!ready) return <Busy />;
  return (
    <>
      {session.value ? <Frame /> : <SignIn />}
      <Notes />
    </>
  );
}

/** Language and theme, wherever one stands. */
export function Preferences() {
  return (
    <>
      <Button kind="quiet" icon="globe" label={t('app.language')} onClick={() => setLang(lang.value === 'zh' ? 'en' : 'zh')}>
        {lang.value === 'zh' ? 'English' : '中文'}
      </Button>
      <Button kind="quiet" icon={dark.value ? 'sun' : 'moon'} label={dark.value ? t('app.light') : t('app.dark')} onClick={() => setTheme(dark.value ? 'light' : 'dark')} />
    </>
  );
}

function Frame() {
  const [open, setOpen] = useState(false);
  const main = useRef<HTMLElement>(null);
  const { page: name, id } = place.value;
  const page = PAGES.find((p) => p.name === name);
  // The list of actions decides what the menu shows.
  void actions.value;
  const title = page ? t(page.title) : t('app.lost');
  useEffect(() => {
    setOpen(false);
    main.current?.scrollTo(0, 0);
    document.title = `${title} · Weir`;
  }, [name, id, title]);
  useEffect(() => {
    if (!open) return;
    const close = (e: KeyboardEvent) => e.key === 'Escape' && setOpen(false);
    addEventListener('keydown', close);
    return () => removeEventListener('keydown', close);
  }, [open]);
  return (
    <div class={`frame${open ? ' open' : ''}`}>
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); main.current?.focus(); }}>{t('app.skip')}</a>
      <aside>
        <div class="brand">
          <Brand />
          <Button kind="quiet" icon="close" label={t('ui.close')} onClick={() => setOpen(false)} />
        </div>
        <nav aria-label={t('app.menu')}>
          {SECTIONS.map((section) => {
            const shown = PAGES.filter((p) => p.section === section && offered(p));
            if (shown.length === 0) return null;
            return (
              <section key={section}>
                <h2>{t(`section.${section}`)}</h2>
                {shown.map((p) => (
                  <a key={p.name} href={link(p.name)} aria-current={p.name === name ? 'page' : undefined}>
                    <Icon name={p.icon} />
                    {t(p.title)}
                  </a>
                ))}
              </section>
            );
          })}
        </nav>
      </aside>
      <AlarmWatch />
      <div class="shade" onClick={() => setOpen(false)} />
      <div class="work">
        <header class="top">
          <span class="burger"><Button kind="quiet" icon="menu" label={t('app.menu')} onClick={() => setOpen(true)} /></span>
          <p class="crumb">
            {page && id && page.detail ? <a href={link(page.name)}>{title}</a> : <span>{title}</span>}
          </p>
          <span class="spring" />
          <a class="button primary small" href={link('add')} aria-label={t('page.add')}>
            <Icon name="add" size={16} />
            <span class="wide-only">{t('page.add')}</span>
          </a>
          <Preferences />
          <span class="who wide-only" title={session.value?.key.id}>
            <Icon name="key" size={16} />
            {session.value?.operator ? word('role', 'operator') : word('role', 'tenant')}
          </span>
          <Button kind="quiet" icon="out" label={t('app.signOut')} onClick={leave} />
        </header>
        <main id="main" ref={main} tabIndex={-1}>
          <div class="page" key={`${name}/${id}`}>
            <Content page={page} id={id} />
          </div>
        </main>
      </div>
    </div>
  );
}

export function Brand() {
  return (
    <a class="logo" href={link('overview')}>
      <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
        <rect width="32" height="32" rx="8" class="tile" />
        <path d="M5 11c3.500 0 3.500 3 7 3s3.500-3 7-3 3.500 3 8 3M5 18c3.500 0 3.500 3 7 3s3.500-3 7-3 3.500 3 8 3" fill="none" stroke="#fff" stroke-width="2.600" stroke-linecap="round" />
      </svg>
      Weir
    </a>
  );
}

function Content({ page, id }: { page: Page | undefined; id: string }) {
  if (!page) return <Empty icon="search" title={t('app.lost')} text={t('app.lostText')} />;
  if (!offered(page)) return <Empty icon={page.icon} title={t(page.title)} text={page.operator && !session.value?.operator ? t('app.operatorOnly') : t('app.notOffered')} />;
  const Detail = page.detail;
  if (Detail && id) return <Detail id={id} />;
  const Show = page.show;
  return <Show />;
}

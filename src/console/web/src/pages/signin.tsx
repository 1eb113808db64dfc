/** Signing in: the key is tried by a signed call; the secret itself is never sent. */
import { useState } from 'preact/hooks';
import { ApiError, callAs } from '../api/client';
import { keep } from '../api/session';
import { readSpec } from '../api/spec';
import type { Key } from '../api/sign';
import { Brand, Preferences } from '../app';
import { asError } from '../hooks';
import { t } from '../i18n';
import { Button, CheckField, TextField } from '../ui/form';
import { ErrorBox } from '../ui/show';

/** Whether a key is the operator's: others are refused what is the operator's alone. */
export async function isOperator(key: Key): Promise<boolean> {
  try {
    await callAs(key, 'GetMtsServiceStatus', { UserId: 'operator' });
    return true;
  } catch (e) {
    return e instanceof ApiError && e.status === 404 && e.code !== 'InvalidApi.NotFound';
  }
}

export function SignIn() {
  const [id, setId] = useState('');
  const [secret, setSecret] = useState('');
  const [stay, setStay] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<ApiError | null>(null);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    const key = { id: id.trim(), secret: secret.trim() };
    try {
      await callAs(key, 'DescribeGroups', { PageSize: 1 });
      await readSpec().catch(() => undefined);
      keep({ key, operator: await isOperator(key) }, stay);
    } catch (e) {
      setError(asError(e));
      setBusy(false);
    }
  };
  return (
    <div class="signin">
      <div class="corner"><Preferences /></div>
      <main>
        <Brand />
        <h1>{t('signin.title')}</h1>
        <form class="card" onSubmit={(e) => void submit(e)}>
          <TextField label="AccessKeyId" value={id} onChange={setId} required autocomplete="username" mono autofocus />
          <TextField label="AccessKeySecret" value={secret} onChange={setSecret} required type="password" autocomplete="current-password" mono hint={t('signin.never')} />
          <CheckField label={t('signin.stay')} checked={stay} onChange={setStay} hint={t('signin.stayHint')} />
          {error && <ErrorBox error={error} />}
          <Button type="submit" kind="primary" busy={busy}>{t('signin.go')}</Button>
        </form>
        <p class="hint">{t('signin.where')}</p>
      </main>
    </div>
  );
}

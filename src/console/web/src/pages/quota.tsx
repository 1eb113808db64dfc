/** What a tenant may have at most, beside what it has now. */
import { useEffect, useState } from 'preact/hooks';
import { call } from '../api/client';
import { useCall } from '../hooks';
import { t, word } from '../i18n';
import { FormDialog } from '../ui/dialog';
import { TextField } from '../ui/form';
import { bits, bytes, count } from '../ui/format';
import { Busy, ErrorBox, note } from '../ui/show';

interface Quota { Name: string; Limit: number; Used: number }

const figure = (name: string, n: number): string => (name === 'Bandwidth' ? bits(n) : name === 'Storage' ? bytes(n) : count(n));

export function QuotaDialog({ user, onClose }: { user: string; onClose: () => void }) {
  const { data, error, reload } = useCall<{ Quotas: Quota[] }>('DescribeTenantQuota', { UserId: user });
  const [limits, setLimits] = useState<Record<string, string> | null>(null);
  useEffect(() => {
    if (data && !limits) setLimits(Object.fromEntries(data.Quotas.map((q) => [q.Name, q.Limit < 0 ? '' : String(q.Limit)])));
  }, [data]);
  const submit = async () => {
    // A field that is empty is no limit.
    const wanted = Object.entries(limits ?? {}).map(([name, limit]) => [name, limit.trim() === '' ? -1 : limit.trim()] as const);
    await call('SetTenantQuota', { UserId: user, ...Object.fromEntries(wanted) });
    note(t('ui.saved'));
  };
  return (
    <FormDialog title={t('quota.title', { user })} onClose={onClose} onSubmit={submit}>
      <p class="tip">{t('quota.text')}</p>
      {error && <ErrorBox error={error} retry={reload} />}
      {!limits && !error && <Busy />}
      {limits && (
        <div class="fields">
          {data?.Quotas.map((q) => (
            <TextField
              key={q.Name}
              label={word('quota.of', q.Name)}
              value={limits[q.Name] ?? ''}
              onChange={(value) => setLimits({ ...limits, [q.Name]: value })}
              type="number"
              min={0}
              placeholder={t('quota.none')}
              hint={t(q.Limit >= 0 && q.Used >= q.Limit ? 'quota.full' : 'quota.used', { used: figure(q.Name, q.Used) })}
            />
          ))}
        </div>
      )}
    </FormDialog>
  );
}

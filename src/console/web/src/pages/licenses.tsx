/** Licences: what was sold to tenants, how it was extended, and what is activated. */
import { useState } from 'preact/hooks';
import { call } from '../api/client';
import { session } from '../api/session';
import { has } from '../api/spec';
import type { Paged } from '../api/types';
import { useCall } from '../hooks';
import { t, word } from '../i18n';
import { link, place, refine } from '../router';
import { Dialog, FormDialog } from '../ui/dialog';
import { Button, SelectField, TextField } from '../ui/form';
import { count, when } from '../ui/format';
import { Head } from '../ui/head';
import { Badge, Busy, Empty, ErrorBox, note, Tag } from '../ui/show';
import { List, paging, type Column } from '../ui/table';

interface Product { Pid: string; UserId: string; Name: string; Product: number; MediaType: number; Minutes: number; Type: number; Validity: number; Quantity: number; Allocated: number; CreatedTime: string }
interface License { License: string; Pid: string; AppId: string; LicenseKey: string; ActivationTime: string; ExpireTime: string }
interface Renewal { RenewId: string; Validity: number; Quantity: number; Used: number; CreatedTime: string }

type Rows = Paged & { [list: string]: unknown };

const rowsOf = <T,>(data: Rows): T[] => (Object.values(data).find(Array.isArray) as T[] | undefined) ?? [];

export function Licenses() {
  const tab = place.value.query.get('tab') === 'active' ? 'active' : 'products';
  const [making, setMaking] = useState(false);
  const [turn, setTurn] = useState(0);
  return (
    <>
      <Head title={t('page.licenses')} text={t('licenses.text')}>
        {session.value?.operator && <Button kind="primary" icon="add" onClick={() => setMaking(true)}>{t('licenses.new')}</Button>}
      </Head>
      <div class="filters">
        <div class="segments" role="group" aria-label={t('record.type')}>
          <button type="button" aria-pressed={tab === 'products'} onClick={() => refine({ tab: undefined, page: undefined, pid: undefined })}>{t('licenses.products')}</button>
          <button type="button" aria-pressed={tab === 'active'} onClick={() => refine({ tab: 'active', page: undefined })}>{t('licenses.active')}</button>
        </div>
      </div>
      {tab === 'products' ? <Products key={turn} /> : <Active />}
      {making && <ProductDialog onClose={() => setMaking(false)} onDone={() => setTurn(turn + 1)} />}
    </>
  );
}

function Products() {
  const { PageNum, PageSize } = paging();
  const loaded = useCall<Rows>('DescribeLicenseProducts', { PageNum, PageSize });
  const [editing, setEditing] = useState<Product | null>(null);
  const [renewing, setRenewing] = useState<Product | null>(null);
  const operator = session.value?.operator === true;
  const columns: Column<Product>[] = [
    { title: t('licenses.name'), cell: (p) => <a class="strong" href={link('licenses', '', { tab: 'active', pid: p.Pid })}>{p.Name}</a> },
    { title: 'PID', minor: true, cell: (p) => <code>{p.Pid}</code> },
    { title: t('tenant.user'), minor: true, cell: (p) => <code>{p.UserId}</code> },
    { title: t('licenses.kind'), minor: true, cell: (p) => <Tag>{word('licenses.type', String(p.Type))}</Tag> },
    { title: t('licenses.allocated'), figure: true, cell: (p) => `${count(p.Allocated)} / ${count(p.Quantity)}` },
    { title: t('licenses.validity'), figure: true, cell: (p) => t('template.days', { n: p.Validity }) },
    {
      title: '',
      cell: (p) => (
        <span class="row end">
          {has('DescribeLicenseRenewals') && <Button small onClick={() => setRenewing(p)}>{t('licenses.renewals')}</Button>}
          {operator && <Button small kind="quiet" icon="edit" label={t('ui.edit')} onClick={() => setEditing(p)} />}
        </span>
      ),
    },
  ];
  return (
    <>
      <List caption={t('licenses.products')} loaded={loaded} columns={columns} rows={(d: Rows) => rowsOf<Product>(d)} rowKey={(p) => p.Pid} empty={<Empty icon="licenses" title={t('licenses.none')} text={t('licenses.noneText')} />} />
      {editing && <QuantityDialog product={editing} onClose={() => setEditing(null)} onDone={loaded.reload} />}
      {renewing && <RenewalsDialog product={renewing} operator={operator} onClose={() => setRenewing(null)} />}
    </>
  );
}

function Active() {
  const { PageNum, PageSize } = paging();
  const pid = place.value.query.get('pid') ?? '';
  const loaded = useCall<Rows>('DescribeLicenses', { Pid: pid, PageNum, PageSize });
  const over = (x: License) => Date.parse(x.ExpireTime) < Date.now();
  const columns: Column<License>[] = [
    { title: t('licenses.number'), cell: (x) => <code>{x.License}</code> },
    { title: t('ui.status'), cell: (x) => <Badge tone={over(x) ? 'bad' : 'good'}>{t(over(x) ? 'licenses.expired' : 'licenses.valid')}</Badge> },
    { title: t('licenses.key'), cell: (x) => <code>{x.LicenseKey}</code> },
    { title: 'PID', minor: true, cell: (x) => <code>{x.Pid}</code> },
    { title: t('group.one'), minor: true, cell: (x) => <a href={link('groups', x.AppId)}>{x.AppId}</a> },
    { title: t('licenses.activated'), minor: true, cell: (x) => when(x.ActivationTime) },
    { title: t('licenses.ends'), cell: (x) => when(x.ExpireTime) },
  ];
  return <List caption={t('licenses.active')} loaded={loaded} columns={columns} rows={(d: Rows) => rowsOf<License>(d)} rowKey={(x) => x.License} empty={<Empty icon="licenses" title={t('licenses.noneActive')} text={t('licenses.noneActiveText')} />} />;
}

function ProductDialog({ onClose, onDone }: { onClose: () => void; onDone: () => void }) {
  const [name, setName] = useState('');
  const [user, setUser] = useState('');
  const [type, setType] = useState('1');
  const [validity, setValidity] = useState('365');
  const [quantity, setQuantity] = useState('100');
  const submit = async () => {
    await call('CreateLicenseProduct', { Name: name, UserId: user, Type: type, Validity: validity, Quantity: quantity });
    note(t('ui.saved'));
    onDone();
  };
  return (
    <FormDialog title={t('licenses.new')} submit={t('ui.create')} onClose={onClose} onSubmit={submit}>
      <div class="fields">
        <TextField label={t('licenses.name')} value={name} onChange={setName} required autofocus />
        <TextField label={t('tenant.user')} value={user} onChange={setUser} mono hint={t('licenses.userHint')} />
        <SelectField label={t('licenses.kind')} value={type} onChange={setType} options={['1', '2'].map((value) => ({ value, label: word('licenses.type', value) }))} />
        <TextField label={t('licenses.validity')} value={validity} onChange={setValidity} type="number" min={1} max={36500} required hint={t('licenses.validityHint')} />
        <TextField label={t('licenses.quantity')} value={quantity} onChange={setQuantity} type="number" min={1} required />
      </div>
    </FormDialog>
  );
}

function QuantityDialog({ product, onClose, onDone }: { product: Product; onClose: () => void; onDone: () => void }) {
  const [quantity, setQuantity] = useState(String(product.Quantity));
  return (
    <FormDialog title={product.Name} onClose={onClose} onSubmit={async () => { await call('ModifyLicenseProduct', { Pid: product.Pid, Quantity: quantity }); onDone(); }}>
      <TextField label={t('licenses.quantity')} value={quantity} onChange={setQuantity} type="number" min={0} required />
    </FormDialog>
  );
}

function RenewalsDialog({ product, operator, onClose }: { product: Product; operator: boolean; onClose: () => void }) {
  const { data, error, reload } = useCall<{ Renewals: Renewal[] }>('DescribeLicenseRenewals', { Pid: product.Pid });
  const [making, setMaking] = useState(false);
  return (
    <Dialog title={`${product.Name} · ${t('licenses.renewals')}`} onClose={onClose}>
      <div class="body">
        {error && <ErrorBox error={error} retry={reload} />}
        {!data && !error && <Busy />}
        {data && data.Renewals.length === 0 && <p class="muted">{t('licenses.noRenewals')}</p>}
        <ul class="plain">
          {data?.Renewals.map((r) => (
            <li key={r.RenewId} class="row">
              <code>{r.RenewId}</code>
              <span class="spring" />
              <span>{t('template.days', { n: r.Validity })}</span>
              <span class="muted">{count(r.Used)} / {count(r.Quantity)}</span>
            </li>
          ))}
        </ul>
      </div>
      <footer>
        {operator && <Button icon="add" onClick={() => setMaking(true)}>{t('licenses.renew')}</Button>}
        <Button kind="primary" onClick={onClose}>{t('ui.close')}</Button>
      </footer>
      {making && <RenewDialog pid={product.Pid} onClose={() => setMaking(false)} onDone={reload} />}
    </Dialog>
  );
}

function RenewDialog({ pid, onClose, onDone }: { pid: string; onClose: () => void; onDone: () => void }) {
  const [validity, setValidity] = useState('365');
  const [quantity, setQuantity] = useState('100');
  return (
    <FormDialog title={t('licenses.renew')} submit={t('ui.create')} onClose={onClose} onSubmit={async () => { await call('CreateLicenseRenewal', { Pid: pid, Validity: validity, Quantity: quantity }); onDone(); }}>
      <div class="fields">
        <TextField label={t('licenses.validity')} value={validity} onChange={setValidity} type="number" min={1} max={36500} required />
        <TextField label={t('licenses.quantity')} value={quantity} onChange={setQuantity} type="number" min={1} required />
      </div>
    </FormDialog>
  );
}

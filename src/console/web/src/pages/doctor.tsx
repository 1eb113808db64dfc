/** The call doctor: what a device said, what arrived, and a plain verdict. */
import type { ComponentChildren } from 'preact';
import type { Device, Paged } from '../api/types';
import { useCall, useRested } from '../hooks';
import { t, word } from '../i18n';
import { link, place, refine } from '../router';
import { Button } from '../ui/form';
import { Head, Search } from '../ui/head';
import { Badge, Busy, Empty, ErrorBox } from '../ui/show';
import { List, paging, type Column } from '../ui/table';
import { GroupPick } from './pick';

export function Doctor() {
  const { query } = place.value;
  const group = query.get('group') ?? '';
  const name = useRested((query.get('name') ?? '').trim());
  const code = /^\d{20}$/.test(name);
  const loaded = useCall<Paged & { Devices: Device[] }>(group ? 'DescribeDevices' : null, { GroupId: group, Name: code ? '' : name, GbId: code ? name : '', ...paging() });
  const columns: Column<Device>[] = [
    { title: t('device.name'), sort: 'Name', cell: (d) => <a class="strong" href={link('doctor', d.Id)}>{d.Name || d.GbId}</a> },
    { title: t('ui.status'), sort: 'Status', cell: (d) => <Badge status={d.Status}>{word('device.status', d.Status)}</Badge> },
    { title: t('device.code'), cell: (d) => <code>{d.GbId}</code> },
  ];
  return (
    <>
      <Head title={t('page.doctor')} text={t('doctor.text')} />
      <div class="filters">
        <GroupPick protocol="gb28181" must />
        <Search label={t('device.find')} value={query.get('name') ?? ''} onChange={(value) => refine({ name: value, page: undefined })} />
      </div>
      {group ? (
        <List caption={t('page.devices')} loaded={loaded} columns={columns} rows={(d: { Devices: Device[] }) => d.Devices} rowKey={(d) => d.Id} empty={<Empty icon="doctor" title={t('devices.none')} text={t('devices.noneText')} />} />
      ) : (
        <div class="card"><Empty icon="doctor" title={t('devices.noGroup')} text={t('devices.noGroupText')} /></div>
      )}
    </>
  );
}

export function DoctorOf({ id }: { id: string }) {
  const { data: device } = useCall<Device>('DescribeDevice', { Id: id });
  const { data, error, loading, reload } = useCall<{ Verdict: string[]; Findings: unknown }>('DiagnoseDevice', { Id: id });
  return (
    <>
      <Head title={t('doctor.of', { name: device ? device.Name || device.GbId : id })}>
        <a class="button plain" href={link('devices', id)}>{t('add.toDevice')}</a>
        <Button icon="refresh" busy={loading} onClick={reload}>{t('doctor.again')}</Button>
      </Head>
      {error && <ErrorBox error={error} retry={reload} />}
      {!data && !error && <Busy />}
      {data && (
        <>
          <section class="card">
            <h2>{t('doctor.verdict')}</h2>
            <ul class="verdict">{data.Verdict.map((line) => <li key={line}>{line}</li>)}</ul>
          </section>
          <section class="card">
            <h2>{t('doctor.findings')}</h2>
            <Tree value={data.Findings} />
          </section>
        </>
      )}
    </>
  );
}

/** Any JSON, folded; texts of several lines (SIP, SDP) as they are. */
function Tree({ value }: { value: unknown }): ComponentChildren {
  if (typeof value === 'string') return value.includes('\n') ? <pre tabIndex={0}>{value}</pre> : <span>{value || '–'}</span>;
  if (value === null || typeof value !== 'object') return <code>{String(value)}</code>;
  const entries = Object.entries(value);
  if (entries.length === 0) return <span class="muted">–</span>;
  return (
    <ul class="json">
      {entries.map(([name, inner]) => {
        const deep = inner !== null && typeof inner === 'object' && Object.keys(inner).length > 0;
        const label = Array.isArray(value) ? `#${Number(name) + 1}` : name;
        return (
          <li key={name}>
            {deep ? (
              <details open={!Array.isArray(inner) || inner.length < 4}>
                <summary>{label}</summary>
                <Tree value={inner} />
              </details>
            ) : (
              <div class="leaf"><span class="muted">{label}</span> <Tree value={inner} /></div>
            )}
          </li>
        );
      })}
    </ul>
  );
}

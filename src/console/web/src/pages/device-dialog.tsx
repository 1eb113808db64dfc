/** Making and changing a device. */
import { useState } from 'preact/hooks';
import { call } from '../api/client';
import type { Device, Directory, Paged } from '../api/types';
import { useCall } from '../hooks';
import { t, word } from '../i18n';
import { FormDialog } from '../ui/dialog';
import { AreaField, CheckField, SelectField, TextField } from '../ui/form';
import { note } from '../ui/show';

export function DeviceDialog({ device, group, onClose, onDone }: { device: Device | null; group: string; onClose: () => void; onDone: () => void }) {
  const [name, setName] = useState(device?.Name ?? '');
  const [code, setCode] = useState(device?.GbId ?? '');
  const [type, setType] = useState<string>(device?.Type ?? 'ipc');
  const [password, setPassword] = useState('');
  const [vendor, setVendor] = useState(device?.Vendor ?? '');
  const [description, setDescription] = useState(device?.Description ?? '');
  const [start, setStart] = useState(device?.AutoStart ?? true);
  const [position, setPosition] = useState(device?.AutoPos ?? false);
  const [folder, setFolder] = useState(device?.DirectoryId ?? '');
  const { data: folders } = useCall<Paged & { Directories: Directory[] }>('DescribeDirectories', { GroupId: group, PageSize: 100 });
  const submit = async () => {
    const params = { Name: name, GbId: code, Type: type, Password: password, Vendor: vendor, Description: description, AutoStart: start, AutoPos: position, DirectoryId: folder };
    if (device) await call('ModifyDevice', { Id: device.Id, GroupId: device.GroupId, ...params });
    else await call('CreateDevice', { GroupId: group, Username: password ? code : '', ...params });
    note(device ? t('ui.saved') : t('device.made', { name: name || code }));
    onDone();
  };
  return (
    <FormDialog title={device ? t('device.edit') : t('device.new')} onClose={onClose} onSubmit={submit}>
      <div class="fields">
        <TextField label={t('device.name')} value={name} onChange={setName} maxLength={128} autofocus />
        <TextField label={t('device.code')} value={code} onChange={setCode} required pattern="[0-9]{20}" maxLength={20} mono hint={t('device.codeHint')} />
        <SelectField label={t('device.type')} value={type} onChange={setType} options={['ipc', 'platform', 'ied'].map((value) => ({ value, label: word('device.type', value) }))} />
        <TextField label={t('sip.password')} type="password" autocomplete="new-password" value={password} onChange={setPassword} hint={device ? t('device.passwordKeep') : t('device.passwordHint')} />
        <TextField label={t('device.vendor')} value={vendor} onChange={setVendor} />
        {(folders?.Directories.length ?? 0) > 0 && <SelectField label={t('device.directory')} value={folder} onChange={setFolder} options={[{ value: '', label: '–' }, ...(folders?.Directories ?? []).map((d) => ({ value: d.Id, label: d.Name }))]} />}
        <CheckField label={t('device.auto')} checked={start} onChange={setStart} hint={t('device.autoHint')} />
        <CheckField label={t('device.position')} checked={position} onChange={setPosition} />
        <AreaField label={t('ui.description')} value={description} onChange={setDescription} rows={2} />
      </div>
    </FormDialog>
  );
}

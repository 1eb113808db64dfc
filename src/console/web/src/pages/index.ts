/** All pages: where they stand in the menu, and what the server must offer for them. */
import type { ComponentType } from 'preact';
import type { Key } from '../i18n';
import type { IconName } from '../ui/icon';
import { Add } from './add';
import { Alarms } from './alarms';
import { Callbacks } from './callbacks';
import { DeviceDetail } from './device';
import { Devices } from './devices';
import { Doctor, DoctorOf } from './doctor';
import { Explorer } from './explorer';
import { GroupDetail } from './group';
import { Groups } from './groups';
import { Licenses } from './licenses';
import { Overview } from './overview';
import { Playback, PlaybackOf } from './playback';
import { Records, RecordsOf } from './records';
import { StreamDetail } from './stream';
import { Streams } from './streams';
import { Templates, TemplateDetail } from './templates';
import { Tenants } from './tenants';
import { UpperOf, Uppers } from './uppers';
import { Usage } from './usage';
import { Wall } from './wall';

export interface Page {
  name: string;
  title: Key;
  icon: IconName;
  section: 'watch' | 'sources' | 'archive' | 'insight' | 'admin' | null;
  show: ComponentType;
  /** The page of one object: `#/streams/1`. */
  detail?: ComponentType<{ id: string }>;
  /** One of these actions must be offered. */
  needs?: string[];
  operator?: boolean;
}

export const PAGES: Page[] = [
  { name: 'overview', title: 'page.overview', icon: 'overview', section: 'watch', show: Overview },
  { name: 'wall', title: 'page.wall', icon: 'wall', section: 'watch', show: Wall },
  { name: 'alarms', title: 'page.alarms', icon: 'alarm', section: 'watch', show: Alarms, needs: ['DescribeAlarms'] },
  { name: 'groups', title: 'page.groups', icon: 'groups', section: 'sources', show: Groups, detail: GroupDetail },
  { name: 'devices', title: 'page.devices', icon: 'devices', section: 'sources', show: Devices, detail: DeviceDetail },
  { name: 'streams', title: 'page.streams', icon: 'streams', section: 'sources', show: Streams, detail: StreamDetail },
  { name: 'uppers', title: 'page.uppers', icon: 'uppers', section: 'sources', show: Uppers, detail: UpperOf, needs: ['DescribeUpperPlatforms'] },
  { name: 'records', title: 'page.records', icon: 'records', section: 'archive', show: Records, detail: RecordsOf, needs: ['DescribeRecords'] },
  { name: 'playback', title: 'page.playback', icon: 'playback', section: 'archive', show: Playback, detail: PlaybackOf, needs: ['DescribeDeviceRecords'] },
  { name: 'templates', title: 'page.templates', icon: 'templates', section: 'archive', show: Templates, detail: TemplateDetail, needs: ['DescribeTemplates'] },
  { name: 'usage', title: 'page.usage', icon: 'usage', section: 'insight', show: Usage, needs: ['DescribeUsageStatTrafficData'] },
  { name: 'doctor', title: 'page.doctor', icon: 'doctor', section: 'insight', show: Doctor, detail: DoctorOf, needs: ['DiagnoseDevice'] },
  { name: 'callbacks', title: 'page.callbacks', icon: 'callbacks', section: 'insight', show: Callbacks, needs: ['ListCallbackDeliveries'] },
  { name: 'tenants', title: 'page.tenants', icon: 'tenants', section: 'admin', show: Tenants, needs: ['DescribeTenants'], operator: true },
  { name: 'licenses', title: 'page.licenses', icon: 'licenses', section: 'admin', show: Licenses, needs: ['DescribeLicenseProducts', 'DescribeLicenses'] },
  { name: 'explorer', title: 'page.explorer', icon: 'explorer', section: 'admin', show: Explorer, detail: Explorer },
  { name: 'add', title: 'page.add', icon: 'add', section: null, show: Add },
];

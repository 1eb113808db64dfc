/** Answers of the API, as far as the console reads them. */

export interface Paged {
  PageSize: number;
  PageNum: number;
  PageCount: number;
  TotalCount: number;
}

export interface Stats { DeviceNum?: number; IpcNum?: number; PlatformNum?: number; IedNum?: number; ChannelNum?: number; StreamNum?: number; OnlineNum?: number; OfflineNum?: number; FailedNum?: number }

export interface Group {
  Id: string; Name: string; Description: string; Region: string; App: string; InProtocol: 'gb28181' | 'rtmp'; OutProtocol: string;
  Enabled: boolean; Status: 'on' | 'off'; CreatedTime: string; Callback: string; LazyPull: boolean; GbId: string; GbIp: string;
  GbUdpPort?: number; GbTcpPort?: number; PushRtmpBaseUrl: string; AutoRegister: boolean; RequireLicense: boolean; Stats?: Stats;
}

export interface Device {
  Id: string; Name: string; Description: string; GroupId: string; ParentId: string; DirectoryId: string; Type: 'ipc' | 'platform' | 'ied';
  AutoStart: boolean; Enabled: boolean; GbId: string; Ip: string; Port?: number; Username: string; Vendor: string; Longitude: string; Latitude: string;
  AutoPos: boolean; PosInterval?: number; AlarmMethod: string; Params: string; Status: 'new' | 'on' | 'off' | 'failed';
  Protocol: string; RegisteredTime: string; CreatedTime: string; Stats?: Stats;
}

export interface Channel { Id: string; ChannelId: number; Name: string; DeviceId: string; GbId: string; DeviceStatus: string; StreamId: string; StreamStatus: string }

export interface Directory { Id: string; Name: string; Description: string; GroupId: string; ParentId: string; CreatedTime: string }

export interface Stream {
  Id: string; Name: string; App: string; Protocol: string; GroupId: string; DeviceId: string; Enabled: boolean; Status: 'on' | 'off';
  CreatedTime: string; StartTime: string; StopTime: string; PushUrl: string; ChannelName: string; Width?: number; Height?: number; ViewerNum?: number;
}

export interface Template {
  Id: string; Name: string; Description: string; Type: 'record' | 'snapshot' | 'transcode' | 'timeshift'; Region: string; Callback: string; CreatedTime: string;
  Interval?: number; FileFormat: string; Mp4: string; Flv: string; HlsM3u8: string; HlsTs: string; Trigger: string; Expired?: number;
  JpgOverwrite: string; JpgSequence: string; Retention?: number; oNestBucket: string; oNestEndpoint: string; TransConfigs?: TransConfig[];
}

export interface TransConfig { Id?: string; Name: string; VideoCodec: string; VideoBitrate: number; Width: number; Height: number; Fps: number; Gop: number }

export interface Record_ {
  Id: string; StreamId: string; Type: string; FileFormat: string; StartTime: string; EndTime: string; Duration: number; Width?: number; Height?: number; Size: number; Url: string;
}

export interface Alarm { Id: string; GroupId: string; DeviceId: string; GbId: string; Alarm: string; SubAlarm?: number; Priority: string; Description: string; Time: string }

export interface Delivery { Id: string; Object: string; Url: string; Body: string; Time: string; Try: number; Took: number; HttpStatus: number; Error: string; Last: boolean }

export interface Preset { Id: string; Name: string }

export interface PlayUrl { Id: string; Name: string; Error?: string; WhepUrl?: string; FlvUrl?: string; HlsUrl?: string; RtmpUrl?: string; SnapshotUrl?: string }

export interface Overview {
  GroupNum: number; DeviceNum: number; OnlineDeviceNum: number; StreamNum: number; OnlineStreamNum: number; ViewerNum: number;
  InBps: number; OutBps: number; AlarmNum: number;
}

export interface Tenant { UserId: string; Status: number; CreatedTime: string; AccessKeyIds: string[] }

export interface Outcome { Id: string; Error?: string }

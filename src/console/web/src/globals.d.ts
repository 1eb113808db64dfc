/** Where the parts lie that are loaded when they are needed; filled in by the build. */
declare const __HLS__: string;
declare const __MPEGTS__: string;
declare const __UPLOT__: string;

// Why a device isn't there, in words.

const ENGLISH = {
  insecure: 'No {device}: browsers give it to secure pages only, and this page isn’t secure.',
  unsupported: 'No {device}: this browser doesn’t support that.',
  policy: 'No {device}: the page that this one is embedded in doesn’t allow it.',
  denied: 'No {device}: the browser is set to refuse it. The icon in the address bar changes that.',
  dismissed: 'No {device}: the browser’s question was closed without an answer. Try again.',
  system: 'No {device}: the operating system refuses it to the browser. The system’s privacy settings change that.',
  gesture: 'No {device} yet: the browser asks for a click first.',
  missing: 'The browser found no {device}.',
  constraints: 'No {device} can do what is asked of it.',
  busy: 'Another program is using the {device}: close that one, then try again.',
  unplugged: 'The {device} was unplugged.',
  ended: 'The browser has ended the {device}.',
  superseded: 'The {device} is no longer wanted.',
  failed: 'The browser could not open the {device}.',
};

const CHINESE = {
  insecure: '没有{device}：此页面不安全，浏览器不予提供。',
  unsupported: '没有{device}：此浏览器不支持。',
  policy: '没有{device}：嵌入此页面的网页不允许。',
  denied: '没有{device}：浏览器被设置为不允许。可在地址栏图标中更改。',
  dismissed: '没有{device}：浏览器的询问被关闭，没有得到回答。请再试一次。',
  system: '没有{device}：操作系统不允许浏览器使用。可在系统的隐私设置中更改。',
  gesture: '没有{device}：浏览器要求先点击。',
  missing: '没有找到{device}。',
  constraints: '没有符合要求的{device}。',
  busy: '{device}正被其他程序占用：请关闭该程序后再试。',
  unplugged: '{device}已被拔出。',
  ended: '浏览器已停用{device}。',
  superseded: '不再需要{device}。',
  failed: '{device}无法打开。',
};

const CHINESE_DEVICES = { microphone: '麦克风', camera: '摄像头', screen: '屏幕', speaker: '扬声器' };

export function deviceWords(code, kind, language) {
  const chinese = /^zh\b/i.test(language);
  return (chinese ? CHINESE : ENGLISH)[code].replace('{device}', chinese ? CHINESE_DEVICES[kind] : kind);
}

// A verdict in words.

const IN_ENGLISH = {
  unknown: 'Nothing is known yet.',
  good: 'The connection is good.',
  'no-path': 'There is no path to the other end now.',
  'uplink-loss': 'Your uplink loses {percent} %.',
  'downlink-loss': 'Your downlink loses {percent} %.',
  slow: 'The round trip is long: {rtt} ms.',
  jitter: 'What arrives is uneven, by {jitter} ms.',
  'uplink-narrow': 'Your uplink is too narrow for a better picture.',
  cpu: 'This computer is too busy for a better picture.',
};

const IN_CHINESE = {
  unknown: '尚无数据。',
  good: '连接良好。',
  'no-path': '目前没有通往对方的路径。',
  'uplink-loss': '你的上行丢包 {percent} %。',
  'downlink-loss': '你的下行丢包 {percent} %。',
  slow: '延迟较高：往返 {rtt} 毫秒。',
  jitter: '接收不稳定，抖动 {jitter} 毫秒。',
  'uplink-narrow': '你的上行带宽不足，画面无法更清晰。',
  cpu: '此电脑太忙，画面无法更清晰。',
};

export function verdictWords(verdict, language = navigator.language) {
  const words = (/^zh\b/i.test(language) ? IN_CHINESE : IN_ENGLISH)[verdict.code];
  return words.replace(/\{(\w+)\}/, (_, figure) => verdict[figure]);
}

// 只属于一个页面的文字。
export default {
  "example.title": "示例 · signalbox",
  "example.headline": "最小的通话",
  "example.lead": "此页面只是一个基于 SDK 的短模块，可作为应用的起点。",
  "example.state.connecting": "正在连接……",
  "example.state.open": "你已加入房间。",
  "example.state.reconnecting": "无法连接服务器，正在重连……",
  "example.insecure": "浏览器只向 https 页面和 localhost 提供摄像头和麦克风。",
  "example.device": "浏览器没有提供摄像头或麦克风（{code}）。请确认两者已连接、未被占用且已允许，然后重试。",
  "example.source": "阅读源代码"
};

// 只属于一个页面的文字。
export default {
  "sdk.title": "SDK · signalbox",
  "sdk.headline": "SDK",
  "sdk.lead": "本服务器提供的四个模块：会话、房间和通话；以及按需使用的数据、设备和统计。无需构建。",
  "sdk.use": "其他源（origin）的页面请从本服务器的地址导入，并把该源加入 [web] 下的 allowed_origins。使用打包工具或 Node 时，“signalbox sdk DIR” 会把它们写成 npm 包。",
  "sdk.contents": "目录",
  "sdk.examples": "可在此运行的示例",
  "sdk.examples.what": "这里显示的就是实际运行的代码：在本页面中，连接本服务器运行。示例中有两个人时，都由本页面扮演。",
  "sdk.run": "运行",
  "sdk.output": "输出",
  "sdk.errors": "错误代码",
  "sdk.errors.what": "错误带有用于判断的代码和可以显示的消息。",
  "sdk.compare": "与其他库比较",
  "sdk.compare.what": "依据 peerjs 1.5.5、simple-peer 9.11.1、livekit-client 2.23.0、socket.io-client 4.8.4 和 trystero 0.25.4。“我们”一栏的每一项都写明证明它的测试，或说明为什么没有。",
  "sdk.they": "它们",
  "sdk.we": "我们"
};

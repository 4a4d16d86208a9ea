"""Grammar of made news, biographies, notices, contracts and addresses; names of persons, places and organisations are labelled flat."""

from __future__ import annotations

import random

from tools.embedded_base import lexicon_general as general
from tools.embedded_base import made_names as names
from tools.embedded_base.made_text import Production

KNOWN = "person place organization title event money percent date sport product".split()
# Contracts and forms label the parties and addresses whole, so names inside them are not asked for.
KNOWN_IN_CONTRACTS = "party address money date product id_number percent".split()


def make_money(r: random.Random) -> str:
    """An amount of money."""
    return f"{r.choice((r.randint(1, 99), r.randint(100, 9999), f'{r.uniform(1, 99):.1f}'))}{r.choice(('元', '万元', '万元', '亿元', '亿元', '万美元', '亿美元', '万欧元'))}"


def make_id(r: random.Random) -> str:
    """A number of a contract or document."""
    return r.choice((f"{r.choice('京沪粤浙苏川鄂')}字第{r.randint(100, 9999)}号", f"HT-{r.randint(2001, 2025)}-{r.randint(1, 999):03d}", f"〔{r.randint(1990, 2025)}〕{r.randint(1, 200)}号"))


GRAMMAR: dict[str, Production] = {
    "person": names.make_person,
    "place": names.make_place,
    "organization": names.make_organization,
    "company": names.make_company,
    "city": general.CITIES,
    "country": general.COUNTRIES,
    "province": general.PROVINCES,
    "title": general.TITLES,
    "event": general.EVENTS,
    "sport": general.SPORTS,
    "date": names.make_date,
    "day": lambda r: f"{r.randint(1, 31)}日",
    "money": make_money,
    "id_number": make_id,
    "n": names.make_number,
    "small": lambda r: str(r.randint(2, 9)),
    "percent": lambda r: f"{r.uniform(0.5, 95):.{r.choice((0, 1, 2))}f}%",
    "product": ("智能手机", "电动汽车", "笔记本电脑", "彩电", "空调", "冰箱", "茶叶", "大豆", "钢材", "原油", "煤炭", "水泥", "纺织品", "奶粉", "疫苗", "芯片", "软件", "摩托车", "轴承", "化肥", "玩具", "丝绸", "白酒", "玉米种子"),
    "address": lambda r: r.choice(general.CITIES) + "市" + r.choice(general.DISTRICTS) + r.choice("人民 中山 解放 建设 新华 长江 和平 文化 学府 滨河".split()) + r.choice("路 大道 街 东路 北路".split()) + f"{r.randint(1, 999)}号",
    "party": ("{company}", "{company}", "{person}"),
    "agency": general.AGENCIES,
    "role": ("{title}{person}", "{title}{person}", "{organization}{title}{person}", "{organization}{title}{person}", "{place:country}{title}{person}", "{person}{title}", "{person}"),
    "lead": ("新华社{place}{date}电（记者{person}）", "本报{place}{date}讯 记者{person}报道：", "本报讯（记者{person} 通讯员{person}）", "新华社{place}{date}电（记者{person}、{person}）", "据{organization}报道，", "{organization}{place}{date}电 ", "", "", "", "", "", ""),
    "theme": ("经济合作", "环境保护", "农村改革", "教育公平", "双边关系", "国企改革", "科技创新", "食品安全", "脱贫工作", "文化交流", "反腐败斗争", "安全生产", "精神文明建设", "半岛局势", "气候变化", "知识产权保护", "防汛抗旱", "金融监管"),
    "adj": ("重要", "积极", "显著", "历史性", "初步", "较大", "新的"),
    "news_text": ("{lead}{s}", "{lead}{s}{s}", "{lead}{s}{s}{s}", "{s}", "{s}", "{s}", "{s}{s}", "{bio}", "{bio}", "{bio}{bio}", "{lists}", "{lists}", "{card}", "{headline}", "{sports}", "{sports}{sports}", "{quote}", "{quote}{s}", "{wiki}", "{wiki}", "{wiki}{wiki}", "{plain}{s}{plain}", "{s}{plain}", "{plain}"),
    "s": (
        "{role}{day}在{place}会见了{role}一行。", "{role}今天在{place}举行的记者招待会上说，{organization}将就{theme}与{organization}举行会谈。", "{role}近日率团访问{place}，与{place}领导人就{theme}交换了意见。", "{date}，{organization}在{place}召开会议，研究部署{theme}工作。", "{role}出席会议并讲话，{role}主持会议。", "{organization}与{organization}在{place}签署了合作协议，总投资{money}。",
        "{organization}宣布，今年对{place}的出口额达到{money}，比去年同期增长{percent}。", "{place}和{place}之间的铁路今天正式通车，全长{n}公里。", "来自{place}、{place}和{place}的{n}名代表参加了这次活动。", "{organization}发布的数据显示，{place}上半年{product}产量增长{percent}。", "{person}、{person}、{person}等参加了座谈会。", "据介绍，{organization}已向{place}灾区捐款{money}。", "{organization}{title}{person}认为，{theme}已取得{adj}进展。",
        "在{place}，记者看到{n}多名工人正在施工。", "{person}从{place}来到{place}打工，一干就是{small}年。", "这项由{organization}主办、{organization}承办的展览将于{date}在{place}开幕。", "{place}警方逮捕了{n}名嫌疑人，其中包括{person}。", "{organization}决定授予{person}“先进工作者”称号。", "{place}发生里氏{small}级地震，造成{n}人死亡。", "{role}在会谈中表示，中国愿同{place}发展友好关系。", "{organization}经理{person}介绍说，公司年产{product}{n}吨，远销{place}、{place}等地。",
        "{date}上午，{place}举行了隆重的开工典礼，{role}、{role}为工程奠基。", "{place}{place:village}农民{person}承包了{n}亩荒山。", "出席开幕式的有{person}、{person}，以及{organization}负责人{person}。", "{person}任{organization}{title}，免去{person}的{title}职务。", "一架从{place}飞往{place}的客机{day}坠毁。", "{organization}和{organization}{day}联合发出通知，要求加强{theme}。", "{person}告诉记者，他毕业于{organization}，曾在{place}工作{small}年。", "{person}指出，{place}的{theme}不容忽视，{organization}对此负有责任。",
        "{place}外交部发言人{person}{day}就{theme}发表声明。", "{organization}专家{person}说：“{theme}关系到{place}的未来。”", "{organization}股价下跌{percent}，市值蒸发{money}。", "{organization}收购{organization}{percent}的股份，交易金额为{money}。", "从{place}到{place}，从{place}到{place}，{theme}成为人们关注的话题。", "“{theme}”研讨会在{place}举行，{organization}的{person}教授作了报告。",
    ),
    "village": lambda r: r.choice(general.COMPANY_STEMS) + r.choice("家 庄 山 河 桥 塘 坪 沟".split()) + r.choice(("村", "镇", "乡")),
    "plain": (
        "春节前夕，街上挂满了红灯笼，人们忙着置办年货。", "改革的路子越走越宽，群众的积极性也越来越高。", "这本书文字朴实，感情真挚，读来令人感动。", "当时天气很冷，大家的心里却热乎乎的。", "关键在于转变观念，扎扎实实做好每一项工作。", "经过几年的努力，企业终于扭亏为盈。", "他说，要把群众的冷暖放在心上。", "问题的解决还需要时间，双方都应保持克制。", "记者在采访中了解到，这里的环境已经大为改善。",
        "科学家发现，这种材料在低温下具有特殊的性质。", "比赛进行得十分激烈，双方互有攻守。", "农民的收入增加了，日子一天比一天好。", "市场经济要求我们按规律办事。", "如何看待这一现象，人们的意见并不一致。",
    ),
    "sports": ("{sport}{event}预赛今天在{place}结束，{place:country}队以{small}比{small}战胜{place:country}队。", "{person}以{n}分夺得{sport}冠军，{place:country}选手{person}获得亚军。", "{organization}主场迎战{organization}，{person}第{n}分钟攻入一球。", "{event}{sport}决赛中，{place}选手{person}击败{place}名将{person}。", "{organization}教练{person}赛后说，队员们表现出色。", "{person}和{person}分别获得{sport}男子组和女子组第一名。"),
    "quote": ("{person}说：“我从小在{place}长大，后来去了{place}。”", "“{organization}的做法值得{place}借鉴。”{role}说。", "{role}强调：“{theme}事关全局。”", "{person}问{person}：“你什么时候去{place}？”", "当被问及{theme}时，{person}笑着说，{person}才是最有发言权的人。"),
    "headline": ("{person}会见{person}", "{organization}成立{n}周年", "{person}出任{organization}{title}", "{place}举办{event}", "{organization}与{organization}合作开发{product}", "{place}至{place}高速公路通车", "{person}访问{place}", "{organization}调查{organization}", "{title}{person}抵达{place}"),
    "bio": (
        "{person}（{date}－{date}），{place}人，{title}，毕业于{organization}，曾任{organization}{title}。", "{person}，{place}人，{date}出生于{place}，{place:country}{title}。", "{date}，{person}进入{organization}学习，师从{person}。", "{person}的父亲{person}是{organization}的{title}，母亲{person}来自{place}。", "{person}早年就读于{organization}，后留学{place}，回国后任教于{organization}和{organization}。", "{person}与{person}结婚，婚后移居{place}。", "{date}，{person}当选为{organization}{title}，接替{person}。", "{person}在{place}逝世，葬于{place}。", "{person}，男，汉族，{date}生，{place}人，现任{organization}{title}。", "{date}，{person}率军攻占{place}，{person}败走{place}。", "{person}奉命出使{place}，受到{person}的接见。",
    ),
    "wiki": ("{organization}成立于{date}，总部位于{place}，创办人为{person}。", "{organization}是{place}的一所学校，校长为{person}。", "{place}位于{place}东部，东邻{place}，西接{place}，面积{n}平方公里。", "{place}是{place}下辖的一个县级行政区，人口约{n}人。", "该片由{person}执导，{person}、{person}主演，于{date}在{place}上映。", "{organization}由{organization}和{organization}合并而成。", "{date}，{place}与{place}建立外交关系。", "{event}期间，{place}被{place:country}军队占领。", "《{book}》是{person}所著的小说，由{organization}出版。"),
    "book": ("平凡的日子", "远方的山", "红色河流", "数据结构", "中国通史", "春天的故事", "无名的城市", "旅途", "论合作社"),
    "lists": ("名单如下：{person*4-12}。", "{person*4-10 }", "参加单位有：{organization*3-7}。", "沿途经过{place*4-10}。", "访问{place*3-6}等国。", "编委：{person*3-8}", "会员国包括{place:country*4-10}。", "主办：{organization}\n承办：{organization}\n地点：{place}\n时间：{date}\n联系人：{person}", "{place:country}、{place:country}和{organization}的代表{person}、{person}发了言。", "获奖者：{person}（{place}）、{person}（{place}）、{person}（{organization}）。"),
    "contract": ("甲方：{party}\n乙方：{party}\n合同编号：{id_number}\n甲方向乙方购买{product}{n}件，总价{money}，于{date}前在{address}交货。", "本合同由{party}（以下简称甲方）与{party}（以下简称乙方）于{date}在{address}签订，合同金额为{money}。", "{party}诉{party}买卖合同纠纷一案，被告应支付货款{money}及利息。", "出租方：{party}，承租方：{party}，房屋坐落于{address}，月租金{money}。"),
    "contract_text": ("{contract}", "{contract}", "{contract}{contract}", "{form}"),
    "form": ("收件人：{party:person}\n地址：{address}\n商品：{product}\n金额：{money}", "发文单位：{party:organization}\n文号：{id_number}\n日期：{date}"),
    "card": ( "姓名：{person}\n籍贯：{place}\n单位：{organization}\n职务：{title}", "{organization}{title} {person}", "联系人：{person}\n单位：{organization}"),
}  # fmt: skip

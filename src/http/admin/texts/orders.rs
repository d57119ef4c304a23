//! What the pages about orders and incidents say.

texts! {
    OrderTexts;

    // The list.
    find "搜索" "Search";
    find_hint "订单号、微信支付单号、快递单号或完整手机号；按 / 键跳到这里"
        "Order number, WeChat payment number, express number or whole phone; press / to come here";
    find_hint_plain "订单号、微信支付单号或快递单号；按 / 键跳到这里"
        "Order number, WeChat payment number or express number; press / to come here";
    found "条搜索结果" "orders found";
    found_none "没有找到订单" "No order was found";
    filter "筛选" "Filter";
    apply "应用筛选" "Apply";
    clear "清除筛选" "Clear";
    states "订单状态" "States";
    created_from "下单日期从" "Created from";
    created_to "下单日期到" "Created to";
    paid_from "付款日期从" "Paid from";
    paid_to "付款日期到" "Paid to";
    sku "规格编号 (SKU)" "SKU id";
    sku_hint "在订单详情的商品后面可以看到" "It stands beside the goods of an order";
    refund_open "只看退款中的" "Only with an open refund";
    on_this_page "条订单在本页" "orders on this page";
    all "全部" "All";
    to_pay "待付款" "To be paid";
    to_ship "待发货" "To be shipped";
    on_the_way "已发货" "Shipped";
    going_back "退款中" "Money going back";
    quick "常用筛选" "Quick filters";
    my_views "我的筛选" "My filters";
    keep_view "保存当前筛选" "Keep this filter";
    view_name "名称" "Name";
    forget "删除" "Delete";
    order "订单" "Order";
    goods "商品" "Goods";
    buyer "收货人" "Buyer";
    pay "应付" "To pay";
    pieces "件" "pcs";
    not_a_date "日期格式为 年-月-日" "A date is year-month-day";
    not_a_sku "规格编号是数字" "A SKU id is a number";

    // The detail.
    lines "商品明细" "Lines";
    price "单价" "Price";
    quantity "数量" "Quantity";
    total "小计" "Total";
    same_sku "含此规格的订单" "Orders with this SKU";
    money "金额" "Money";
    goods_total "商品合计" "Goods";
    freight "运费" "Freight";
    discount "优惠" "Discount";
    adjust "改价" "Adjustment";
    refunded "已退款" "Given back";
    repricing "正在改价，等待微信关闭原支付" "The price changes once WeChat has closed the former attempt";
    closing "正在关闭，等待微信确认" "Being closed; WeChat has not confirmed yet";
    receiver "收货信息" "Delivery";
    masked "个人信息已隐藏" "Personal data is hidden";
    reveal "显示收货信息" "Show personal data";
    reveal_hint "查看会被记录" "Looks are recorded";
    remark "买家留言" "Buyer's remark";
    payments "收款" "Payments";
    attempts "支付尝试" "Attempts";
    refunds "退款记录" "Refunds";
    messages "消息" "Messages";
    parcels "包裹" "Parcels";
    timeline "订单动态" "Timeline";
    number "单号" "Number";
    amount "金额" "Amount";
    tries "次数" "Tries";
    company "快递公司" "Express company";
    company_name "公司名称" "Company's name";
    company_hint "选择“其他”时填写" "Only with the last entry of the list";
    express_no "快递单号" "Express number";
    express_hint "5 到 40 位字母、数字或横线" "5 to 40 letters, digits or dashes";
    correct "更正单号" "Correct the number";
    corrections "已更正次数" "Corrections";
    ship "发货" "Ship";
    ship_parcel "发出一个包裹" "Ship a parcel";
    this_parcel "本包裹数量" "Pieces in this parcel";
    left "待发" "left";
    note "员工备注" "Staff note";
    note_add "添加备注" "Add a note";
    note_hint "买家看不到" "The buyer does not see it";
    more "更多操作" "More";
    history "操作记录" "Audit log";
    back_to_list "返回订单列表" "Back to the orders";
    back_to_order "返回订单" "Back to the order";

    // What is done on a page of its own.
    pay_new "新的应付金额 (元)" "New amount to pay (yuan)";
    pay_hint "至少 0.01 元；微信会先关闭原支付" "At least 0.01 yuan; WeChat closes the former attempt first";
    pay_bad "金额格式为 12.34" "An amount looks like 12.34";
    reason_hint "写入操作记录" "Goes into the audit log";
    refund_hint "买家会看到，最多 80 个字" "The buyer reads it; at most 80 characters";
    address_hint "留空的栏位保持不变" "What is left empty stays as it is";
    receiver_name "收货人姓名" "Name";
    phone "电话" "Phone";
    province "省" "Province";
    city "市" "City";
    district "区县" "District";
    address_detail "详细地址" "Street and number";
    confirm_refund "我确认全额退还给买家，此操作不能撤回"
        "I confirm: all of it goes back to the buyer, and this cannot be undone";
    confirm_price "我确认修改买家的应付金额" "I confirm that the buyer pays another amount";
    confirm_release "我确认释放库存；之后若仍收到付款会自动退回"
        "I confirm: the goods go back on sale; money that still comes is given back";
    confirm_missing "请先勾选确认" "Please tick the confirmation first";
    refund_amount "退还金额" "Goes back";
    one_reshipment "微信只接受一次单号更正，请仔细核对"
        "WeChat takes one correction of a parcel: please look twice";
    no_reshipment "微信已接受过一次更正，再次更正买家在微信里看不到"
        "WeChat has taken its one correction: what you change now does not reach the buyer's WeChat";
    ask_why "向微信查询每一次支付；查到付款会立即入账"
        "Asks WeChat about each attempt; money that it shows is booked at once";
    ask_answer "微信的答复" "WeChat's answer";
    ask_nothing "这个订单没有发起过支付" "Nobody has begun to pay this order";

    // Incidents.
    incidents_why "微信签名正确、但与订单对不上的付款通知"
        "Payments that WeChat has signed and that fit no order";
    seen "次数" "Seen";
    settle "处理" "Settle";
    incident "异常通知" "Incident";
    how "处理方式" "How";
    how_matched "属于某个订单" "It belongs to an order";
    how_refunded "已在商户平台退款" "Given back at the merchant platform";
    how_dismissed "无需处理" "Nothing is to be done";
    order_no "订单号" "Order number";
    order_no_hint "选择“属于某个订单”时填写" "Only if it belongs to an order";
    no_such_order "没有这个订单" "There is no such order";
    choose_how "请选择处理方式" "Choose how it is settled";
}

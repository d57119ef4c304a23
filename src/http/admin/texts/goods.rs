//! What the pages about goods, stock and categories say.

texts! {
    GoodsTexts;

    // The list.
    find "搜索" "Search";
    find_hint "商品或规格编码、编号，或名称的一部分；按 / 键跳到这里"
        "A code or id of goods or SKU, or a part of the name; press / to come here";
    filter "筛选" "Filter";
    apply "应用筛选" "Apply";
    clear "清除筛选" "Clear";
    any "全部" "All";
    sale_state "销售状态" "Sale";
    on_sale "在售" "On sale";
    off_sale "已下架" "Off sale";
    category "分类" "Category";
    no_category "未分类" "None";
    low "库存不多于" "No more left than";
    low_hint "任一规格的库存不多于此数" "Of any SKU";
    on_this_page "个商品在本页" "goods on this page";
    found_none "没有找到商品" "No goods were found";
    name "商品名称" "Name";
    price "价格" "Price";
    stock "库存" "Stock";
    skus "规格数" "SKUs";
    sales "已售" "Sold";
    add "新增商品" "New goods";
    categories "商品分类" "Categories";
    all_goods "全部商品" "All goods";
    on_sale_now "在售商品" "On sale";
    low_now "低库存" "Low stock";
    quick "常用筛选" "Quick filters";
    not_a_number "请填写整数" "A whole number is needed";

    // One of the goods.
    code "编码" "Code";
    code_hint "导入时用来识别；留空自动生成" "An import knows it by this; left empty, one is made";
    deduct_stock "减库存方式" "Stock is deducted";
    deduct_order "下单减库存" "with the order";
    deduct_payment "付款减库存" "with the payment";
    window "销售时间" "Sale window";
    starts "开售时间" "Sale begins";
    ends "停售时间" "Sale ends";
    window_hint "北京时间；留空不限" "Beijing time; left empty: no bound";
    limit "每人限购" "Limit per buyer";
    limit_hint "件，含未付款的订单；留空不限" "Pieces in live orders; left empty: none";
    place "排序" "Place in lists";
    place_hint "数字小的排在前面" "The lowest comes first";
    images "图片地址" "Addresses of images";
    images_hint "每行一个，第一张用于列表" "One a line; the first stands in lists";
    description "商品详情" "Description";
    block "段落" "Block";
    block_text "文字" "Text";
    block_image "图片地址" "Image address";
    block_kind "类型" "Kind";
    block_place "顺序" "Order";
    block_hint "留空的段落会被删除" "An empty block is dropped";
    sku "规格" "SKU";
    sku_code "规格编码" "SKU code";
    attr "规格名称" "SKU name";
    line_price "划线价" "Struck-through price";
    weight "重量 (克)" "Weight (g)";
    image_url "规格图片" "SKU image";
    retired "停用" "Retired";
    ledger "库存流水" "Ledger";
    history "操作记录" "Audit log";
    edit "编辑商品" "Edit";
    move_stock "调整库存" "Adjust stock";
    put_on "上架" "Put on sale";
    take_off "下架" "Take off sale";
    retired_skus "已停用的规格" "Retired SKUs";
    back_to_list "返回商品列表" "Back to the goods";
    back_to_goods "返回商品" "Back to these goods";
    never "不限" "no bound";
    yuan "元" "yuan";

    // The form.
    basics "基本信息" "Basics";
    sale "销售" "Sale";
    specs "规格" "Properties";
    specs_hint "先填规格和值，再更新规格表；改名保留原规格编号，清空即删除"
        "Fill in properties and values, then update the grid; a renamed value keeps its SKUs, an emptied one goes";
    spec "规格项" "Property";
    spec_name "规格名" "Name of the property";
    spec_value "规格值" "Value";
    more_values "新增规格值" "More values";
    more_values_hint "每行一个" "One a line";
    update_grid "更新规格表" "Update the grid";
    grid "规格表" "Grid of SKUs";
    grid_changed "规格已变化，请核对规格表后再保存" "The properties have changed: look at the grid, then save";
    grid_updated "规格表已更新，尚未保存" "The grid is up to date, and not saved yet";
    grid_hint "库存不在这里修改：请用“调整库存”" "Stock is not changed here: use Adjust stock";
    fill "批量填写空格" "Fill what is empty";
    fill_price "价格 (元)" "Price (yuan)";
    fill_weight "重量 (克)" "Weight (g)";
    price_yuan "价格 (元)" "Price (yuan)";
    line_price_yuan "划线价 (元)" "Struck-through (yuan)";
    new_sku "新规格" "new";
    save "保存" "Save";
    on_sale_box "在售" "On sale";
    stock_refused "库存不能在这里修改" "Stock cannot be written here";
    conflict "与别人的修改不一致" "What differs from the other change";
    conflict_hint "左边是您填写的，右边是现在的；再次保存以您的为准"
        "Yours and what is there now; saving again makes it yours";
    yours "您填写的" "Yours";
    theirs "现在的" "Now";
    field "栏位" "Field";

    // Stock.
    delta "增减数量" "Change by";
    delta_hint "例如 10 或 -3；留空不变" "Such as 10 or -3; left empty: no change";
    stock_reason "原因" "Reason";
    stock_reason_hint "写入库存流水，例如：盘点、到货、破损" "Goes into the ledger: counted, arrived, broken";
    nothing_moved "没有填写任何数量" "No number was given";
    moved "项已调整" "SKUs were moved";
    bad_delta "请填写整数，例如 10 或 -3" "A whole number is needed, such as 10 or -3";
    when "时间" "Time";
    kind "类型" "Kind";
    balance "结存" "Balance";
    order "订单" "Order";
    who "操作人" "Who";
    at "查询某一时刻的库存" "Stock at any moment";
    at_time "时刻" "Moment";
    at_hint "北京时间" "Beijing time";
    ask "查询" "Show";
    was_there "当时库存" "In stock then";
    entries "条流水在本页" "entries on this page";
    stock_now "现有库存" "In stock now";

    // Categories.
    category_name "分类名称" "Name";
    above "上级分类" "Above it";
    top "顶级" "Top";
    add_category "新增分类" "Add a category";
    delete_category "删除" "Delete";
    category_taken "同级已有同名分类" "There is one of this name beside it";
    category_used "分类下还有商品或子分类" "Goods or categories are still in it";
    category_loop "不能移到自己下面，最多 5 级" "Not below itself, and at most 5 levels";
    no_categories "还没有分类" "There are none yet";
    too_many "分类太多" "There are too many";
}

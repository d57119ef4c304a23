//! What the shipping desk, its files and its slips say.

texts! {
    ShippingTexts;

    // The desk.
    slip "发货单号" "Slip";
    slip_hint "扫描发货单上的条码，或输入订单号，回车确认" "Scan the code on the slip, or type the order number, and press Enter";
    open_slip "打开" "Open";
    number_hint "扫描快递面单，回车即发货" "Scan the parcel's label; Enter ships";
    company_auto "自动识别" "By the number";
    company_last "或沿用" "or as before:";
    to_pack "请装箱" "Pack these";
    ship_all "发货" "Ship";
    another "换一单 (Esc)" "Another slip (Esc)";
    in_parts "分包裹发货" "Ship in parts";
    last "上一单" "Last scan";
    take_back "撤回上一单" "Take it back";
    take_back_until "买家通知发出前可撤回，最早发出时间" "Can be taken back until the buyer is told, not before";
    told "买家通知可能已发出，不能撤回" "The buyer may have been told: it stays";
    correct_it "更正单号" "Correct the number";
    nothing_shipped "还没有发货" "Nothing has been shipped yet";
    keys_hint "只用键盘和扫码枪即可操作" "A keyboard and a scanner are all you need";
    same_parcel "确认与该订单合并在同一个包裹" "I confirm: both orders are in one parcel";
    wait "上一步还没完成，请稍候再扫" "The last scan is still under way, please wait";
    not_sent "没有发送成功，请再按一次回车" "It was not sent; press Enter once more";

    // What it says of a scan.
    said_shipped "已发货" "Shipped";
    said_repeated "这一单已经发过，没有重复发货" "This was shipped before; nothing was done twice";
    said_taken_back "已撤回，可以重新扫描" "Taken back; it can be scanned again";
    said_ready "请扫描快递单号" "Now scan the parcel's label";
    no_such_slip "没有这个订单" "There is no such order";
    slip_expected "这是快递单号，请先扫描发货单" "This is an express number; scan the slip first";
    number_expected "这是发货单，不是快递单号" "This is a slip, not an express number";
    number_ruined "单号被表格软件改成了科学计数法" "A spreadsheet has turned the number into powers of ten";
    number_bad "快递单号应为 5 到 40 位字母、数字或横线" "An express number has 5 to 40 letters, digits or dashes";
    number_of_another "这个单号已用于订单" "This number belongs already to order";
    company_unknown "无法从单号识别快递公司，请选择" "The number does not tell the company; please choose it";
    wrong_state "不能发货，订单状态" "It cannot be shipped; the order is";
    address "地址" "Address";
    pieces "件数" "Pieces";
    place_desk "扫码发货" "Scan and ship";
    place_slips "打印发货单" "Print slips";
    place_files "批量文件" "Files";

    // The files.
    files "批量发货文件" "Shipping files";
    export "导出待发货订单" "Export what is to be shipped";
    export_hint "表格里快递公司和快递单号两列是空的，填好后在下面上传。导出会被记录"
        "Company and express number are empty columns: fill them in and upload the file below. Exports are recorded";
    export_now "导出 CSV" "Export CSV";
    read_so_far "已读取订单" "Orders read";
    export_lost "导出中断，请重试" "The export broke off; please try again";
    upload "上传填好的表格" "Upload the file that is filled in";
    file "表格文件" "File";
    file_hint "CSV (UTF-8 或 GB18030) 或 xlsx，最多 2000 行。快递公司可留空，由单号识别"
        "CSV in UTF-8 or GB18030, or xlsx, at most 2000 rows. The company may be left empty where the number tells it";
    preview "检查表格" "Check the file";
    no_file "请选择文件" "Choose a file";
    no_column "表格缺少这一列" "The file lacks this column";
    file_preview "检查结果，尚未发货" "What the file would do; nothing is shipped yet";
    file_done "发货结果" "What was done";
    rows_ready "可发货" "Ready";
    rows_shipped "已发货" "Shipped";
    rows_done "之前已发货" "Shipped before";
    rows_wrong "有问题" "Wrong";
    rows_empty "未填写" "Not filled in";
    rows_none "没有填写任何单号" "No number is filled in";
    ship_good "将可发货的行发货" "Ship the rows that are ready";
    row "行" "Row";
    result "结果" "Result";

    // Slips and the pick list.
    slips "打印发货单" "Print slips";
    slips_hint "选中的订单会标记为已打印，别人不会再次打印。打印会被记录"
        "What you choose is marked as printed, so that nobody prints it again. Prints are recorded";
    choose "选择" "Choose";
    printed "已打印" "Printed";
    times "次" "times";
    not_printed "未打印" "Not printed";
    print_again "已打印过的也再打印一次" "Also print once more what was printed before";
    print_now "打印选中的" "Print what is chosen";
    none_chosen "没有选中可打印的订单" "Nothing was chosen that can be printed";
    all_printed_before "选中的订单都已打印过，没有重复打印" "All of them were printed before; nothing was printed twice";
    pick_list "拣货单" "Pick list";
    sku_orders "订单数" "Orders";
    slip_title "发货单" "Packing slip";
    reprint "补打，第" "Printed again, copy";
    stale "不要装箱：订单已发货、退款或取消" "Do not pack: it was shipped, given back or closed";
    print_hint "用浏览器的打印功能 (Ctrl+P)，每单一页" "Print with the browser (Ctrl+P): a page for each order";
    back_to_slips "返回" "Back";
    refund_open "订单退款中，不能发货" "Money of this order is going back: it must not leave";
}
